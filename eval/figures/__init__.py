"""Every measurable claim of the README and docs, measured again: `make figures`."""
