import Base
import NeuralNetworks
import Tensors

/// x + Conv1(ELU(Conv(ELU(x)))).
struct ResidualBlock: Sendable {
  private let wide: StreamingConvolution
  private let narrow: StreamingConvolution

  init(_ weights: Weights, channels: Int, dilation: Int, _ sizes: MimiConfiguration.SEANet)
    throws
  {
    let hidden = channels / sizes.compress
    wide = try StreamingConvolution(
      weights["block"][1]["conv"], inputs: channels, outputs: hidden,
      kernel: sizes.residualKernelSize, dilation: dilation, padding: sizes.padding, elu: true)
    narrow = try StreamingConvolution(
      weights["block"][3]["conv"], inputs: hidden, outputs: channels, kernel: 1,
      padding: sizes.padding, elu: true)
  }

  struct State: Sendable {
    var wide: StreamingConvolution.State
    var narrow: StreamingConvolution.State
  }

  func initialState() -> State {
    State(wide: wide.initialState(), narrow: narrow.initialState())
  }

  func callAsFunction(_ x: Tensor, state: inout State) -> Tensor {
    x + narrow(wide(x, state: &state.wide), state: &state.narrow)
  }
}

/// The convolutional encoder: waveform `[samples, channels]` to `[samples / hop, dimension]`.
struct SEANetEncoder: Sendable {
  private struct Stage: Sendable {
    let channels: Int
    let ratio: Int
    var blocks: [ResidualBlock]
    var down: StreamingConvolution
  }
  private let first: StreamingConvolution
  private let stages: [Stage]
  private let last: StreamingConvolution

  init(_ weights: Weights, _ sizes: MimiConfiguration.SEANet) throws {
    let model = weights["model"]
    first = try StreamingConvolution(
      model[0]["conv"].inFloat32, inputs: sizes.channels, outputs: sizes.filters,
      kernel: sizes.kernelSize,
      padding: sizes.padding)
    var (index, channels, dilation) = (1, sizes.filters, 1)
    var stages: [Stage] = []
    for ratio in sizes.ratios.reversed() {
      var blocks: [ResidualBlock] = []
      dilation = 1
      for _ in 0..<sizes.residualLayers {
        blocks.append(
          try ResidualBlock(model[index], channels: channels, dilation: dilation, sizes))
        index += 1
        dilation *= sizes.dilationBase
      }
      // The activation takes an index of its own.
      let down = try StreamingConvolution(
        model[index + 1]["conv"], inputs: channels, outputs: 2 * channels, kernel: 2 * ratio,
        stride: ratio, padding: sizes.padding, elu: true)
      stages.append(Stage(channels: channels, ratio: ratio, blocks: blocks, down: down))
      index += 2
      channels *= 2
    }
    self.stages = stages
    last = try StreamingConvolution(
      model[index + 1]["conv"], inputs: channels, outputs: sizes.dimension,
      kernel: sizes.lastKernelSize, padding: sizes.padding, elu: true)
  }

  struct State: Sendable {
    var first: StreamingConvolution.State
    var blocks: [[ResidualBlock.State]]
    var down: [StreamingConvolution.State]
    var last: StreamingConvolution.State
  }

  func initialState() -> State {
    State(
      first: first.initialState(), blocks: stages.map { $0.blocks.map { $0.initialState() } },
      down: stages.map { $0.down.initialState() }, last: last.initialState())
  }

  func callAsFunction(_ waveform: Tensor, state: inout State) -> Tensor {
    guard !stages.isEmpty else {
      return last(first(waveform, state: &state.first), state: &state.last)
    }
    var x = waveform
    for (index, stage) in stages.enumerated() {
      x = inPieces(x, channels: stage.channels, multiple: stage.ratio) { piece in
        var y = index == 0 ? first(piece, state: &state.first) : piece
        for (block, layer) in stage.blocks.enumerated() {
          y = layer(y, state: &state.blocks[index][block])
        }
        return stage.down(y, state: &state.down[index])
      }
    }
    return last(x, state: &state.last)
  }
}

/// Runs streaming layers over pieces of their input, so small that what passes between the layers
/// stays in a core's cache. How streams are cut changes nothing. Several threads gain more by having
/// much to share.
///
/// - Parameters:
///   - channels: the most that pass between them for a step of the input.
///   - multiple: steps of a piece are a multiple of it.
private func inPieces(
  _ x: Tensor, channels: Int, multiple: Int = 1, _ layers: (Tensor) -> Tensor
) -> Tensor {
  let most = max(1, (48 << 10) / (channels * multiple)) * multiple
  guard ThreadBudget.available == 1, x.rows > most else { return layers(x) }
  return concatenateRows(
    stride(from: 0, to: x.rows, by: most).map {
      layers(x.rows($0..<min($0 + most, x.rows)))
    })
}

/// The convolutional decoder: `[steps, dimension]` to waveform `[steps * hop, channels]`.
struct SEANetDecoder: Sendable {
  private struct Stage: Sendable {
    /// Channels for a step of its input.
    let channels: Int
    var up: StreamingTransposedConvolution
    var blocks: [ResidualBlock]
  }
  private let first: StreamingConvolution
  private let stages: [Stage]
  private let last: StreamingConvolution

  init(_ weights: Weights, _ sizes: MimiConfiguration.SEANet) throws {
    let model = weights["model"]
    var channels = sizes.filters << sizes.ratios.count
    first = try StreamingConvolution(
      model[0]["conv"], inputs: sizes.dimension, outputs: channels, kernel: sizes.kernelSize,
      padding: sizes.padding)
    var index = 1
    var stages: [Stage] = []
    for ratio in sizes.ratios {
      let up = try StreamingTransposedConvolution(
        model[index + 1]["convtr"], inputs: channels, outputs: channels / 2, stride: ratio,
        elu: true)
      channels /= 2
      index += 2
      var blocks: [ResidualBlock] = []
      var dilation = 1
      for _ in 0..<sizes.residualLayers {
        blocks.append(
          try ResidualBlock(model[index], channels: channels, dilation: dilation, sizes))
        index += 1
        dilation *= sizes.dilationBase
      }
      stages.append(Stage(channels: channels * ratio, up: up, blocks: blocks))
    }
    self.stages = stages
    last = try StreamingConvolution(
      model[index + 1]["conv"].inFloat32, inputs: channels, outputs: sizes.channels,
      kernel: sizes.lastKernelSize, padding: sizes.padding, elu: true)
  }

  struct State: Sendable {
    var first: StreamingConvolution.State
    var up: [StreamingTransposedConvolution.State]
    var blocks: [[ResidualBlock.State]]
    var last: StreamingConvolution.State
  }

  func initialState() -> State {
    State(
      first: first.initialState(), up: stages.map { $0.up.initialState() },
      blocks: stages.map { $0.blocks.map { $0.initialState() } }, last: last.initialState())
  }

  func callAsFunction(_ x: Tensor, state: inout State) -> Tensor {
    var x = first(x, state: &state.first)
    guard !stages.isEmpty else { return last(x, state: &state.last) }
    for (index, stage) in stages.enumerated() {
      x = inPieces(x, channels: stage.channels) { piece in
        var y = stage.up(piece, state: &state.up[index])
        for (block, layer) in stage.blocks.enumerated() {
          y = layer(y, state: &state.blocks[index][block])
        }
        return index == stages.count - 1 ? last(y, state: &state.last) : y
      }
    }
    return x
  }
}
