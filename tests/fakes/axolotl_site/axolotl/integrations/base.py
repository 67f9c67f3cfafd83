"""What a plugin of Axolotl inherits from."""


class BasePlugin:
    """As in Axolotl 0.19: every method may be left out."""

    def load_datasets(self, cfg, preprocess=False):
        return None

    def add_callbacks_post_trainer(self, cfg, trainer):
        return []
