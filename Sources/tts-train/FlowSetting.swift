import ArgumentParser
import ModelInterface
import NeuralNetworks
import SpeechTraining

/// A setting of a flow loss under the name that the official trainer gives it.
struct FlowSetting: ExpressibleByArgument {
  /// Puts a value into the options; false where it is none for it.
  private typealias Change = @Sendable (String, inout TrainingOptions) -> Bool

  private let key: String
  private let value: String

  init?(argument: String) {
    guard let cut = argument.firstIndex(of: "=") else { return nil }
    key = String(argument[..<cut])
    value = String(argument[argument.index(after: cut)...])
    var options = TrainingOptions()
    guard let change = Self.changes[key], change(value, &options) else { return nil }
  }

  func set(_ options: inout TrainingOptions) { _ = Self.changes[key]?(value, &options) }

  /// The names that there are.
  static var keys: [String] { changes.keys.sorted() }

  private static let changes: [String: Change] = [
    "p_equal": number(0...1) { $1.loss.lsd.diagonalShare = $0 },
    "lognorm_mean": number(-100...100) { $1.loss.lsd.timeLocation = $0 },
    "lognorm_std": number(0...100) { $1.loss.lsd.timeScale = $0 },
    "normalize": flag { $1.loss.lsd.isWeighted = $0 },
    "sig_min": number(0...1) { $1.loss.remainingNoise = $0 },
    "temp": number(1e-6...1e6) { $1.task.kernelTemperature = $0 },
    "temp_loss_weight": number(0...1e6) { $1.loss.drifting.temperatureWeight = $0 },
    "num_neg": { text, options in
      guard let draws = Int(text), (2...4096).contains(draws) else { return false }
      options.loss.drifting.draws = draws
      return true
    },
    "normalize_force": { text, options in
      let kinds: [String: DriftingOptions.Normalization] = [
        "batch": .batch, "true": .position, "false": .none,
      ]
      guard let kind = kinds[text.lowercased()] else { return false }
      options.loss.drifting.normalization = kind
      return true
    },
    "min_scale": number(1e-12...1e6) { $1.loss.drifting.smallestScale = $0 },
    "min_temp": number(1e-12...1e6) { $1.loss.drifting.smallestTemperature = $0 },
  ]

  private static func number(
    _ range: ClosedRange<Float>, _ set: @escaping @Sendable (Float, inout TrainingOptions) -> Void
  ) -> Change {
    { text, options in
      guard let value = Float(text), range.contains(value) else { return false }
      set(value, &options)
      return true
    }
  }

  private static func flag(
    _ set: @escaping @Sendable (Bool, inout TrainingOptions) -> Void
  ) -> Change {
    { text, options in
      guard ["true", "false"].contains(text.lowercased()) else { return false }
      set(text.lowercased() == "true", &options)
      return true
    }
  }
}
