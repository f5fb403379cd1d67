import Base
import Foundation
import Tensors
import TestSupport
import Testing

@testable import NeuralNetworks

@Suite struct ShortTimeFourierTransformTests {
  struct Case: Sendable, CustomStringConvertible {
    var size: Int
    var window: Int
    var hop: Int
    var samples: Int
    var padding: ShortTimeFourierTransform.Padding
    var description: String { "\(size) \(window) \(hop) \(samples) \(padding)" }
  }

  static let cases = [
    Case(size: 16, window: 16, hop: 4, samples: 37, padding: .reflection),
    Case(size: 16, window: 11, hop: 5, samples: 37, padding: .none),
    Case(size: 24, window: 24, hop: 7, samples: 30, padding: .zeros),
    Case(size: 14, window: 7, hop: 3, samples: 8, padding: .reflection),
    Case(size: 8, window: 8, hop: 11, samples: 40, padding: .zeros),
    Case(size: 8, window: 8, hop: 2, samples: 1, padding: .zeros),
    Case(size: 32, window: 32, hop: 8, samples: 40_000, padding: .reflection),
  ]

  private func transform(_ place: Case) -> ShortTimeFourierTransform {
    let window = (0..<place.window).map {
      Float(0.5 - 0.5 * cos(2 * .pi * Double($0) / Double(place.window)))
    }
    return ShortTimeFourierTransform(size: place.size, hop: place.hop, window: window)
  }

  private func noise(_ shape: [Int], seed: UInt64) -> Tensor {
    var random = RandomNumbers(seed: seed)
    return Tensor(random.normal(shape.reduce(1, *)), shape: shape)
  }

  private func dot(_ a: Tensor, _ b: Tensor) -> Double {
    zip(a.values, b.values).reduce(0) { $0 + Double($1.0) * Double($1.1) }
  }

  @Test(arguments: cases) func spectraAreThoseOfTheDefinition(_ place: Case) {
    let transform = transform(place)
    let x = noise([2, place.samples], seed: 1)
    let (size, half, bins) = (place.size, place.size / 2, place.size / 2 + 1)
    let spectrum = transform.spectrum(x, padding: place.padding)
    let margin = place.padding == .none ? 0 : half
    let frames = (place.samples + 2 * margin - size) / place.hop + 1
    #expect(spectrum.shape == [2, frames, 2 * bins])
    #expect(transform.frames(of: place.samples, padding: place.padding) == frames)
    let (values, samples) = (spectrum.values, x.values)
    let before = (size - place.window) / 2
    for row in 0..<2 {
      for frame in Set([0, 1, frames / 2, frames - 1]) where frame < frames {
        for bin in 0..<bins {
          var (real, imaginary) = (0.0, 0.0)
          for n in 0..<place.window {
            var index = frame * place.hop + before + n - margin
            if place.padding == .reflection {
              index = abs(index)
              if index >= place.samples { index = 2 * (place.samples - 1) - index }
            }
            guard (0..<place.samples).contains(index) else { continue }
            let angle = 2 * .pi * Double(bin * (before + n)) / Double(size)
            let weight = 0.5 - 0.5 * cos(2 * .pi * Double(n) / Double(place.window))
            real += weight * Double(samples[row * place.samples + index]) * cos(angle)
            imaginary -= weight * Double(samples[row * place.samples + index]) * sin(angle)
          }
          let at = (row * frames + frame) * 2 * bins + bin
          #expect(abs(Double(values[at]) - real) < 1e-5)
          #expect(abs(Double(values[at + bins]) - imaginary) < 1e-5)
        }
      }
    }
  }

  /// <A x, y> = <x, A' y>.
  @Test(arguments: cases) func reverseRulesAreAdjoint(_ place: Case) throws {
    let transform = transform(place)
    func check(_ x: Tensor, _ operation: (Tensor) -> Tensor) throws {
      let tape = Tape()
      let variable = tape.watch(x)
      let value = operation(variable)
      let y = noise(value.shape, seed: 3)
      let gradient = try #require(
        tape.gradients(of: (value * y).sum(), for: [variable])[0])
      let (left, right) = (dot(value, y), dot(x, gradient))
      let scale = (dot(value, value) * dot(y, y)).squareRoot()
      #expect(abs(left - right) <= 1e-6 * scale, "\(left) \(right)")
    }
    let x = noise([2, place.samples], seed: 2)
    let frames = transform.frames(of: place.samples, padding: place.padding)
    try check(x) { transform.spectrum($0, padding: place.padding) }
    try check(x) { transform.spectrum($0, padding: place.padding, frames: (frames + 1) / 2) }
    try check(noise([2, frames, place.size + 2], seed: 4)) { transform.inverse($0) }
  }

  @Test func thereAndBack() {
    for (size, hop) in [(1680, 420), (512, 100)] {
      let place = Case(size: size, window: size, hop: hop, samples: 30 * hop, padding: .reflection)
      let x = noise([2, place.samples], seed: 5)
      let back = transform(place).inverse(transform(place).spectrum(x, padding: .reflection))
      assertClose(back.values, x.values, tolerance: 1e-6)
    }
  }

  @Test func nothingHasNoFrames() {
    let transform = transform(Case(size: 8, window: 8, hop: 4, samples: 0, padding: .none))
    #expect(transform.spectrum(Tensor.zeros([2, 7]), padding: .none).shape == [2, 0, 10])
    #expect(transform.inverse(Tensor.zeros([2, 0, 10])).shape == [2, 0])
    #expect(transform.inverse(Tensor.zeros([2, 1, 10])).shape == [2, 0])
  }

  @Test func threadsChangeNothing() throws {
    let place = Case(size: 64, window: 64, hop: 16, samples: 50_000, padding: .reflection)
    let transform = transform(place)
    let x = noise([3, place.samples], seed: 6)
    func results() throws -> [[Float]] {
      let tape = Tape()
      let variable = tape.watch(x)
      let spectrum = transform.spectrum(variable, padding: .reflection)
      let loss = (transform.inverse(spectrum).squared().sum() + spectrum.magnitudes().sum())
      let gradient = try #require(tape.gradients(of: loss, for: [variable])[0])
      return [spectrum.values, loss.values, gradient.values]
    }
    let several = try results()
    #expect(try ThreadBudget.alone { try results() } == several)
  }

  @Test func magnitudesHaveTheirGradients() throws {
    let tape = Tape()
    let x = tape.watch(Tensor([3, 0, -5, 4, 0, 12], shape: [1, 6]))
    let y = x.magnitudes()
    #expect(y.shape == [1, 3] && y.values == [5, 0, 13])
    #expect(x.detached().powers().values == [25, 0, 169])
    let gradient = tape.gradients(of: (y * Tensor([1, 7, 2])).sum(), for: [x])[0]
    assertClose(
      try #require(gradient).values, [0.6, 0, -10 / 13, 0.8, 0, 24 / 13], tolerance: 1e-6)
  }
}
