"""The paper's study: trained networks side by side, to docs/study.md (`make study`)."""
