"""Named configurations of `bench pretrain --model scvi`."""
