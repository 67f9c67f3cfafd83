import gradients

print("trained by", gradients.WORLD_SIZE)
