"""The verbs of the command line that say and show what latents do."""
