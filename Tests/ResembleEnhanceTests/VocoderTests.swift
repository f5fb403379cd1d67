import Base
import NeuralNetworks
import Safetensors
import Tensors
import TestSupport
import Testing

@testable import ResembleEnhance

/// The vocoder and its parts beside the package's.
@Suite struct VocoderTests {
  @Test func antiAliasedSnake() throws {
    let cases = try Cases("vocoder")
    let prefix = "amp.weight."
    var tensors: [String: Tensor] = [:]
    for name in cases.file.names where name.hasPrefix(prefix) {
      tensors[String(name.dropFirst(prefix.count))] = try cases.tensor(name)
    }
    let block = try ActivationBlock(Weights(tensors, subject: "amp"), channels: 5)
    let x = try cases.steps("snake.x")
    #expect(difference(block(x), try cases.steps("amp.output")) < 1e-5)
  }

  @Test(arguments: [1, 4, 35]) func locationVariableConvolution(hop: Int) throws {
    let cases = try Cases("vocoder")
    let kernels = try cases.tensor("lvc.\(hop).kernel")  // [batch, in, out, tap, frame]
    let (batch, inputs, outputs, taps, frames) = (
      kernels.shape[0], kernels.shape[1], kernels.shape[2], kernels.shape[3], kernels.shape[4]
    )
    let order = Tensor.packedOrder(outputs: outputs, inputs: taps * inputs)
    let rows = kernels.permuted([2, 3, 1, 0, 4])
      .reshaped([outputs * taps * inputs, batch * frames])
      .gatherRows(order.map { $0.map { Int32($0.output * taps * inputs + $0.input) } ?? -1 })
    let packed = rows.reshaped([order.count, batch, frames]).permuted([1, 2, 0])
    let y = try cases.steps("lvc.\(hop).x").convolved(
      kernels: packed, biases: try cases.steps("lvc.\(hop).bias"), taps: taps)
    #expect(difference(y, try cases.steps("lvc.\(hop).output")) < 1e-5)
  }

  @Test(arguments: [true, false]) func whole(isPacked: Bool) throws {
    let cases = try Cases("vocoder")
    let weights = try SmallModel.weights(packing: isPacked ? .float32 : nil)["vocoder"]
    let vocoder = try Vocoder(weights, SmallModel.sizes())
    let noise = try cases.steps("noise")
    #expect(difference(vocoder.beforeBlocks(noise), try cases.steps("conv_pre")) < 1e-5)
    let audio = vocoder(try cases.steps("predictor.condition"), noise: noise, onStep: {})
    #expect(difference(audio, try cases.tensor("audio")) < 1e-5)
  }

  @Test func blocks() throws {
    let cases = try Cases("vocoder")
    let sizes = try SmallModel.sizes()
    let weights = try SmallModel.weights()["vocoder"]["blocks"]
    var x = try cases.steps("conv_pre")
    let condition = try cases.steps("predictor.condition").withSteps(0..<16)
    for (index, stride) in [7, 5, 4].enumerated() {
      let block = try VocoderBlock(weights[index], stride: stride, sizes)
      if index == 0 {
        let up = block.up(x.leakyReLU())
        #expect(difference(up, try cases.steps("block.0.convt_pre")) < 1e-5)
        #expect(difference(block.activations(up), try cases.steps("block.0.amp")) < 1e-5)
      }
      x = block(x, condition, onStep: {})
      #expect(difference(x, try cases.steps("block.\(index)")) < 1e-5)
    }
  }
}
