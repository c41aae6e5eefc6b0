"""Rerank what a LangChain retriever finds: `pip install 'aatm-onnx[cpu]' langchain-classic`."""

from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from aatm_onnx.integrations.langchain import OnnxReranker


class Vocabulary(BaseRetriever):
    """Stands for any retriever: it finds the same three names for every query."""

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        names = {"C1": "Gallstones", "C2": "Nephrolithiasis", "C3": "Renal cyst"}
        return [Document(name, id=code, metadata={"code": code}) for code, name in names.items()]


retriever = ContextualCompressionRetriever(base_retriever=Vocabulary(), base_compressor=OnnxReranker(top_n=2))
for document in retriever.invoke("kidney stones"):
    print(f"{document.metadata['relevance_score']:.3f} {document.id} {document.page_content}")
