"""`POST /documents`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, field_validator

from .fields import NAME
from .ingest import Document

#: Documents a request. The longest, every character escaped as two surrogates, are 16 x 3000 x 12 bytes and
#: the ids: below the limit of this path, at the front and here.
MOST = 16
SAYING = r"^[^\x00]*[^\x00\s][^\x00]*$"


class DocumentGiven(BaseModel):
    """A document by its user's name for it."""

    id: str = Field(min_length=1, max_length=128, pattern=NAME)
    content: str = Field(min_length=1, max_length=3000, pattern=SAYING)


class DocumentsRequest(BaseModel):
    """What is taken in together, or not at all."""

    documents: Annotated[list[DocumentGiven], Field(min_length=1, max_length=MOST)]

    @field_validator("documents")
    @classmethod
    def named_once(cls, documents: list[DocumentGiven]) -> list[DocumentGiven]:
        """Two contents of one id in a request: nobody knows which one is meant."""
        if len({document.id for document in documents}) < len(documents):
            raise ValueError("an id is given twice")
        return documents

    def given(self) -> list[Document]:
        """The documents as the ingester takes them."""
        return [Document(document.id, document.content) for document in self.documents]
