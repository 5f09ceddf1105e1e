"""Named configurations of `bench pretrain --model mae-mlp`."""
