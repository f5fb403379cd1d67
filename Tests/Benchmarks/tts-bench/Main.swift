import ArgumentParser
import Base
import Foundation

/// Times the parts of the models and the machine itself: one line of JSON a run. `make bench` puts
/// its figures beside those of other engines; the commands stand alone too.
@main
struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tts-bench", abstract: "Time the machine and the parts of a model.",
    subcommands: [MachineBench.self, SpeedBench.self, TrainBench.self, EnhanceBench.self])
}

/// What all measurements take.
struct BenchOptions: ParsableArguments {
  @Option(help: "Threads.") var threads = 1
  @Option(help: "How often a thing is timed; the median counts.") var runs = 5
}

/// Seconds that some work takes, by a clock that only goes forwards.
func seconds(_ work: () throws -> Void) rethrows -> Double {
  let clock = ContinuousClock()
  let duration = try clock.measure(work)
  return Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
}

/// The middle one of some measurements.
func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  guard !sorted.isEmpty else { return .nan }
  let half = sorted.count / 2
  return sorted.count.isMultiple(of: 2) ? (sorted[half - 1] + sorted[half]) / 2 : sorted[half]
}

/// The largest resident size of this process so far, in MB.
func peakMemory() -> Double {
  var usage = rusage()
  getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
  return Double(usage.ru_maxrss) / 1024
}

/// Prints figures as one line of JSON.
func report(_ figures: [String: Double], _ facts: [String: String] = [:]) {
  var line = figures.mapValues { JSON.number(($0 * 1000).rounded() / 1000) }
  for (name, value) in facts { line[name] = .string(value) }
  print(String(decoding: JSON.object(line).canonicalBytes, as: UTF8.self))
}
