"""The scenarios beside these tests are what they play: none expects anything by itself."""

collect_ignore_glob = ["*/scenario.toml"]
