import Training

/// An HTML page without anything outside of it.
struct ReportPage {
  private let runs: [RecordedRun]
  private let samples: SampleTable
  private static let colours = [
    "#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2",
  ]

  init(_ runs: [RecordedRun], _ samples: SampleTable) {
    self.runs = runs
    self.samples = samples
  }

  private func colour(_ index: Int) -> String { Self.colours[index % Self.colours.count] }

  var html: String {
    let names = Set(runs.flatMap { Array($0.training.keys) + $0.validation.keys })
    let first = ["flow_diag", "loss", "flow_loss", "flow_distill", "eos_loss"]
    let order = first.filter(names.contains) + names.subtracting(first).sorted()
    return """
      <!doctype html>
      <html lang="en"><head><meta charset="utf-8"><title>Training runs</title>
      <style>
      body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 72em; padding: 0 1em;
        background: Canvas; color: CanvasText; color-scheme: light dark; }
      .charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(26em, 1fr)); gap: 1.5em; }
      figure { margin: 0; } figcaption { font-weight: 600; }
      svg { width: 100%; height: auto; } svg text { font-size: 11px; fill: currentColor; }
      .grid { stroke: currentColor; opacity: .15; }
      table { border-collapse: collapse; margin-top: 2em; }
      td, th { padding: .2em .8em; text-align: left; vertical-align: top; border-bottom: 1px solid #8884; }
      audio { width: 16em; height: 2.2em; vertical-align: middle; }
      .key { display: inline-block; width: 1em; height: .6em; margin-right: .4em; }
      </style></head><body>
      <h1>Training runs</h1>
      <p>\(legend)</p>
      <p>Thin lines: each step, smoothed. Thick lines with dots: held-out recordings.</p>
      <div class="charts">
      \(order.map(figure).joined(separator: "\n"))
      </div>
      \(samples.html)
      \(table)
      </body></html>

      """
  }

  private var legend: String {
    runs.enumerated().map { index, run in
      "<span class=\"key\" style=\"background:\(colour(index))\"></span>\(escaped(run.directory))"
    }.joined(separator: " &nbsp; ")
  }

  // MARK: Charts

  private func figure(_ name: String) -> String {
    var lines: [Chart.Line] = []
    for (index, run) in runs.enumerated() {
      if let curve = run.training[name] {
        lines.append(Chart.Line(curve: smoothed(curve), colour: colour(index), isThick: false))
      }
      if let curve = run.validation[name] {
        lines.append(Chart.Line(curve: curve, colour: colour(index), isThick: true))
      }
    }
    return "<figure><figcaption>\(escaped(name))</figcaption>\(Chart(lines: lines).svg)</figure>"
  }

  /// Means of equally many neighbours, so that there are at most 400 points.
  private func smoothed(_ curve: RecordedRun.Curve) -> RecordedRun.Curve {
    let size = max(1, (curve.count + 399) / 400)
    return stride(from: 0, to: curve.count, by: size).map { start in
      let part = curve[start..<min(curve.count, start + size)]
      let count = Double(part.count)
      return (
        part.reduce(0) { $0 + $1.step } / count, part.reduce(0) { $0 + $1.value } / count
      )
    }
  }

  // MARK: Table

  private var table: String {
    let keys = Set(runs.flatMap(\.options.keys)).sorted()
    // What differs comes first: that is what runs are compared for.
    let differing = keys.filter { key in Set(runs.map { $0.options[key] ?? "" }).count > 1 }
    let rest = keys.filter { !differing.contains($0) }
    var rows = [
      row("", runs.map { escaped($0.directory) }, tag: "th"),
      row("steps", runs.map { String($0.steps) }),
      row("seconds a step", runs.map { rounded($0.seconds / Double(max(1, $0.steps))) }),
    ]
    func heldOut(_ name: String, _ text: (RecordedRun, RecordedRun.Curve) -> String?) {
      let cells = runs.map { run in run.validation[run.watched].flatMap { text(run, $0) } ?? "–" }
      rows.append(row("held out, " + name, cells))
    }
    heldOut("first") { run, curve in curve.first.map { "\(run.watched) \(rounded($0.value))" } }
    heldOut("last") { run, curve in curve.last.map { "\(run.watched) \(rounded($0.value))" } }
    heldOut("best") { run, curve in
      curve.min { $0.value < $1.value }.map {
        "\(run.watched) \(rounded($0.value)) at step \(Int($0.step))"
      }
    }
    for key in differing + rest {
      rows.append(row("--" + key, runs.map { escaped($0.options[key] ?? "–") }))
    }
    return "<table>\n" + rows.joined(separator: "\n") + "\n</table>"
  }

  private func row(_ name: String, _ cells: [String], tag: String = "td") -> String {
    "<tr><th>\(escaped(name))</th>" + cells.map { "<\(tag)>\($0)</\(tag)>" }.joined() + "</tr>"
  }
}

/// Curves in a coordinate system.
private struct Chart {
  struct Line {
    let curve: RecordedRun.Curve
    let colour: String
    let isThick: Bool
  }

  let lines: [Line]
  private let width = 460.0
  private let height = 240.0
  private let left = 52.0
  private let bottom = 22.0

  init(lines: [Line]) { self.lines = lines }

  var svg: String {
    let points = lines.flatMap(\.curve)
    guard let firstStep = points.map(\.step).min(), let lastStep = points.map(\.step).max(),
      let lowest = points.map(\.value).min(), let highest = points.map(\.value).max()
    else { return "" }
    let steps = (firstStep, max(lastStep, firstStep + 1))
    let margin = max(highest - lowest, abs(highest) * 1e-3, 1e-12) * 0.05
    let values = (lowest - margin, highest + margin)
    func x(_ step: Double) -> Double {
      left + (step - steps.0) / (steps.1 - steps.0) * (width - left - 8)
    }
    func y(_ value: Double) -> Double {
      (height - bottom) - (value - values.0) / (values.1 - values.0) * (height - bottom - 8)
    }
    var parts: [String] = []
    for value in ticks(values.0, values.1) {
      let at = rounded(y(value))
      parts.append(
        "<line class=\"grid\" x1=\"\(left)\" x2=\"\(width)\" y1=\"\(at)\" y2=\"\(at)\"/>")
      parts.append(
        "<text x=\"\(left - 6)\" y=\"\(rounded(y(value) + 4))\" text-anchor=\"end\">\(rounded(value))</text>"
      )
    }
    for step in ticks(steps.0, steps.1) {
      parts.append(
        "<text x=\"\(rounded(x(step)))\" y=\"\(height - 6)\" text-anchor=\"middle\">\(rounded(step))</text>"
      )
    }
    for line in lines {
      let path = line.curve.map { "\(rounded(x($0.step))),\(rounded(y($0.value)))" }
      let style = line.isThick ? "stroke-width=\"2.5\"" : "stroke-width=\"1\" opacity=\".7\""
      parts.append(
        "<polyline fill=\"none\" stroke=\"\(line.colour)\" \(style) points=\"\(path.joined(separator: " "))\"/>"
      )
      guard line.isThick else { continue }
      for point in line.curve {
        parts.append(
          "<circle cx=\"\(rounded(x(point.step)))\" cy=\"\(rounded(y(point.value)))\" r=\"3\" fill=\"\(line.colour)\"><title>step \(Int(point.step)): \(rounded(point.value))</title></circle>"
        )
      }
    }
    return "<svg viewBox=\"0 0 \(Int(width)) \(Int(height))\" role=\"img\">\(parts.joined())</svg>"
  }

  /// About five round numbers of a range.
  private func ticks(_ low: Double, _ high: Double) -> [Double] {
    let rough = (high - low) / 5
    guard rough > 0, rough.isFinite else { return [low] }
    var unit = 1.0
    while unit > rough { unit /= 10 }
    while unit * 10 <= rough { unit *= 10 }
    let step = [1, 2, 5, 10].map { $0 * unit }.first { $0 >= rough } ?? rough
    var ticks: [Double] = []
    var value = (low / step).rounded(.up) * step
    while value <= high, ticks.count < 20 {
      ticks.append(abs(value) < step * 1e-9 ? 0 : value)
      value += step
    }
    return ticks
  }
}

func escaped(_ text: String) -> String {
  text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
    .replacing("\"", with: "&quot;")
}
