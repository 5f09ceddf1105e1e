"""Canonical AnnData: what every task and model gets (see `bench.data.canonical`)."""
