"""The servers that ours is compared with: the same request, model, latents and answer in each."""
