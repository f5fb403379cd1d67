import Base
import Records
import Text

/// A summary as text in columns, for people.
struct SummaryTable {
  private let summary: Summary
  private static let missing = "-"

  init(_ summary: Summary) { self.summary = summary }

  /// The lines.
  var text: String {
    var blocks = [counts, measures]
    if !listening.isEmpty { blocks.append(listening) }
    var text = blocks.map(Self.aligned).joined(separator: "\n")
    if let calibration = summary.calibration {
      text += "\n" + Self.aligned(rows(calibration))
      let best = calibration.recommended.map { Record.text(of: $0.typed) } ?? Self.missing
      text += "\nrecommended --eos-threshold  \(best)\n"
    }
    return text
  }

  private var counts: [[String]] {
    func share(_ count: Int) -> String {
      summary.sentences == 0
        ? Self.missing : decimal(100 * Double(count) / Double(summary.sentences), places: 1) + " %"
    }
    return [
      ["sentences", "count", "share"],
      ["spoken", "\(summary.sentences)", Self.missing],
      [
        "ended", "\(summary.sentences - summary.endless)",
        share(summary.sentences - summary.endless),
      ],
      ["no_eos", "\(summary.endless)", share(summary.endless)],
      ["silent", "\(summary.silent)", share(summary.silent)],
      ["rejected", "\(summary.rejected)", Self.missing],
      ["left_out", "\(summary.leftOut)", Self.missing],
    ]
  }

  private var measures: [[String]] {
    [["measure", "count", "mean", "median", "min", "max"]]
      + summary.measures.map { name, values in
        [name, "\(values.count)"]
          + [values.mean, values.median, values.least, values.most].map(Self.cell)
      }
  }

  private var listening: [[String]] {
    let rows = [("speech", summary.heard), ("references", summary.heardOfReferences)]
    let heard = rows.compactMap { name, heard in heard.map { (name, $0) } }
    guard !heard.isEmpty else { return [] }
    let head = [
      "heard", "count", "words", "wer", "wer_median", "wer_clipped", "cer", "sub", "del", "ins",
    ]
    return [head]
      + heard.map { name, heard in
        [name, "\(heard.rates.count)", "\(heard.words.length)"]
          + [heard.words.rate, heard.rates.median, heard.clipped, heard.characters.rate]
          .map(Self.cell)
          + [heard.words.substitutions, heard.words.deletions, heard.words.insertions]
          .map(String.init)
      }
  }

  private func rows(_ calibration: Calibration) -> [[String]] {
    [["threshold", "eos_rate", "frames", "seconds", "duration_ratio"]]
      + calibration.results.map { result in
        [Record.text(of: result.typed), decimal(result.ended)]
          + [result.frames.mean, result.seconds.mean, result.durationRatio.median].map(Self.cell)
      }
  }

  private static func cell(_ value: Double?) -> String { value.map { decimal($0) } ?? missing }

  /// Columns two blanks apart: the first to the left, numbers to the right.
  private static func aligned(_ rows: [[String]]) -> String {
    let widths = (rows.first ?? []).indices.map { column in
      rows.map { $0[column].count }.max() ?? 0
    }
    return rows.map { row in
      let cells = zip(row, widths).enumerated().map { column, cell in
        let blanks = String(repeating: " ", count: cell.1 - cell.0.count)
        return column == 0 ? cell.0 + blanks : blanks + cell.0
      }
      return cells.joined(separator: "  ") + "\n"
    }.joined()
  }
}
