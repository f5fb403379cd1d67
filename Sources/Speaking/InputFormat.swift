public import ArgumentParser
import Filters

/// What the input of a tool that speaks is.
public enum InputFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
  /// Records or text, by the first bytes.
  case auto
  /// A line an utterance.
  case text
  /// Lines up to a blank one are an utterance.
  case paragraphs
  /// Tab-separated values under a header line.
  case tsv
  /// A JSON object a line.
  case jsonl
  /// Records.
  case ttsr

  /// How it is read.
  var form: InputForm {
    switch self {
    case .auto: InputForm(acceptsRecords: true, text: .longLines)
    case .text: InputForm(acceptsRecords: false, text: .longLines)
    case .paragraphs: InputForm(acceptsRecords: false, text: .paragraphs)
    case .tsv, .jsonl: InputForm(acceptsRecords: false, text: .lines)
    case .ttsr: .records
    }
  }
}
