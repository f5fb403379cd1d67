import Base

extension Failure {
  static func shardPattern(_ text: String) -> Failure {
    Failure(
      .usage, subject: "-o \(text)", problem: "the file name needs exactly one number",
      remedy: "write it as in shards/train-%05d.ttsr")
  }

  static func splitNotNamed(_ text: String) -> Failure {
    Failure(
      .usage, subject: text, problem: "{split} does not occur in it, but --split is given",
      remedy: "write it as in shards/{split}-%05d.ttsr")
  }

  static func splitNotGiven(_ text: String) -> Failure {
    Failure(
      .usage, subject: text, problem: "it holds {split}, but --split is not given",
      remedy: "add --split train=0.95,valid=0.05, or name the files without it")
  }

  static func duplicateID(_ id: String, _ first: String, _ second: String) -> Failure {
    Failure(
      .badInput, subject: second, record: id,
      problem: first == second ? "the id occurs twice" : "the id occurs in \(first) too",
      remedy: "import with distinct ids, or leave one of the inputs out")
  }
}
