"""Named configurations of `bench pretrain --model ours`: sizes, and what others train on the same trunk."""
