"""The sample chat service: FastAPI and LangGraph on Postgres and Redis. The image's context."""
