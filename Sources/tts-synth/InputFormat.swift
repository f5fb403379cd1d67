import ArgumentParser
import Filters

/// What the input of `tts-synth` is.
enum InputFormat: String, ExpressibleByArgument, CaseIterable {
  case auto, text, paragraphs, tsv, jsonl, ttsr

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
