import ArgumentParser
import Base
import CMachine
import Tensors

/// The floors: how fast memory is read and how much arithmetic is possible.
struct MachineBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "machine",
    abstract: "Memory bandwidth (GB/s) and peak arithmetic (GFLOP/s, GOP/s) of this machine.")

  @OptionGroup var options: BenchOptions

  func run() throws {
    ThreadBudget.limit = options.threads
    // More than any cache holds.
    let count = 1 << 27
    let memory = Tensor(repeating: 0.5, shape: [count])
    let share = count / options.threads
    let read = (0..<options.runs).map { _ in
      seconds {
        memory.withValues { values in
          nonisolated(unsafe) let base = values.baseAddress
          ThreadBudget.forEach(options.threads) { index in
            _ = base.map { machine_read($0 + index * share, share) }
          }
        }
      }
    }
    report([
      "threads": Double(options.threads),
      "read_gb_s": Double(count * 4) / median(read) / 1e9,
      "f32_gflop_s": rate(machine_multiply), "bf16_gflop_s": rate(machine_multiply_bf16),
      "int8_gop_s": rate(machine_multiply_int8),
    ])
  }

  /// Thousand millions of operations a second, all threads together.
  private func rate(_ work: @escaping @Sendable (Int) -> Double) -> Double {
    let rounds = 20_000_000
    let done = work(1) * Double(rounds) * Double(options.threads)
    let times = (0..<options.runs).map { _ in
      seconds { ThreadBudget.forEach(options.threads) { _ in _ = work(rounds) } }
    }
    return done / median(times) / 1e9
  }
}
