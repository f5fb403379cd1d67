import Base
import Glibc
public import ModelInterface
import Tensors

/// Which parameters of a model train; the others are constants, for which neither gradients nor
/// optimiser state are kept.
public struct ParameterSelection: Sendable, Hashable {
  /// The part that trains.
  public var tuning: Tuning
  /// Patterns over names of parameters that do not train after all, as of files: `*`, `?`, `[…]`.
  public var freeze: [String]
  /// Patterns over names of parameters that do.
  public var unfreeze: [String]

  /// The parameters of a part, but for those that patterns name; `unfreeze` has the last word.
  public init(_ tuning: Tuning = .full, freeze: [String] = [], unfreeze: [String] = []) {
    self.tuning = tuning
    self.freeze = freeze
    self.unfreeze = unfreeze
  }

  /// The names of the parameters that train.
  ///
  /// - Throws: `usage` when a pattern names none, or when nothing is left to train.
  public func names(of trainable: any Trainable) throws -> Set<String> {
    if case .last(let count) = tuning, count > trainable.layers {
      throw Failure(
        .usage, problem: "--tune \(tuning): the model has \(trainable.layers) layers",
        remedy: "name as many or fewer")
    }
    let all = trainable.parameters.keys.sorted()
    var chosen = Set(all.filter { trainable.trains($0, in: tuning) })
    for (option, patterns) in [("--freeze", freeze), ("--unfreeze", unfreeze)] {
      for pattern in patterns {
        let named = all.filter { fnmatch(pattern, $0, 0) == 0 }
        guard !named.isEmpty else {
          throw Failure(
            .usage, problem: "\(option) '\(pattern)' names no parameter",
            remedy: "parameters are called like \(all.first ?? ""); tts-train --list shows them")
        }
        if option == "--freeze" { chosen.subtract(named) } else { chosen.formUnion(named) }
      }
    }
    guard !chosen.isEmpty else {
      throw Failure(
        .usage, problem: "nothing is left to train", remedy: "freeze less")
    }
    return chosen
  }

  /// Hours of speech below which the flow head is better left as it is.
  public static let hoursForHead = 10.0
}
