"""Published results, reproduced: each study is a file, its numbers are kept in benchmarks/papers.json."""
