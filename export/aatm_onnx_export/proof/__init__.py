"""What a bundle is proved with: references, texts, prompts, and one strategy for float and one for quantized graphs."""
