"""From a request to records: plan, supervise, execute."""
