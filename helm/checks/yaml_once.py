"""YAML as Kubernetes reads it, and no key twice."""

import yaml
from yaml import YAMLError


class Once(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):
    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        for key in keys:
            if keys.count(key) > 1:
                raise YAMLError(f"key {key} twice, {node.start_mark}")
        return super().construct_mapping(node, deep)


def load(text):
    """All documents of the text that hold something."""
    return [document for document in yaml.load_all(text, Once) if document]
