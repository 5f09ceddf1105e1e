"""Files from the network: fetched with resume and mirrors, checked, unpacked, and kept with a receipt."""
