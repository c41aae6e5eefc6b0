"""The Qwen3 reranker prompt: text to token ids, and token ids to left-padded batches."""

# The words are Qwen3-Reranker's (model card of Qwen/Qwen3-Reranker-0.6B); the task is aatm's (aatm.rerankers).
DEFAULT_TASK = "Given a search query, retrieve relevant concepts that match the query."
DEFAULT_PREFIX = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct"
    ' provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
DEFAULT_SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
DEFAULT_MAX_LENGTH = 8192
