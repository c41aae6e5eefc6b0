"""Token ids become scores: plan, KV cache, session, execution providers, proof."""
