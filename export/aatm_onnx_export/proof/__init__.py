"""What a bundle is proved with: references, texts, and one strategy for float and one for quantized graphs."""
