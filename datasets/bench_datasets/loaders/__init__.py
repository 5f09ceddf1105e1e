"""From the files of a public dataset, as they were published, to AnnData with counts."""
