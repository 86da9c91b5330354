"""The example under mixed load for a long time, with workers that are killed and stopped all the while."""
