"""Wait: content files and per-recipient state, schedule, dispatch, bounces."""
