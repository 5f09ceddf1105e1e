"""The study: is a pretrained transformer of cells better than what it is usually not compared with?

`study.toml` and `ablations.toml` say what is trained and examined; this package turns them into commands of `bench`,
keeps the records beside the report, and writes the report from the records alone.
"""
