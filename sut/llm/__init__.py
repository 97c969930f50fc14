"""A sample provider on the OpenAI wire protocol. This folder is the image's context."""
