"""The app that the pages speak of: what the first tutorial makes, for the pages that do not make it."""
