"""Codecs by Duron's names."""


class PydanticCodec:
    """What is there anyway: models are encoded and decoded by type hints."""
