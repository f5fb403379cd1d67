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
      stages.append(Stage(blocks: blocks, down: down))
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
    var x = first(waveform, state: &state.first)
    for (index, stage) in stages.enumerated() {
      for (block, layer) in stage.blocks.enumerated() {
        x = layer(x, state: &state.blocks[index][block])
      }
      x = stage.down(x, state: &state.down[index])
    }
    return last(x, state: &state.last)
  }
}

/// The convolutional decoder: `[steps, dimension]` to waveform `[steps * hop, channels]`.
struct SEANetDecoder: Sendable {
  private struct Stage: Sendable {
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
      stages.append(Stage(up: up, blocks: blocks))
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
    for (index, stage) in stages.enumerated() {
      x = stage.up(x, state: &state.up[index])
      for (block, layer) in stage.blocks.enumerated() {
        x = layer(x, state: &state.blocks[index][block])
      }
    }
    return last(x, state: &state.last)
  }
}
