import Base
import Foundation
import TestSupport
import Testing

@testable import Fourier

@Suite struct RealTransformTests {
  /// The definition, in double precision.
  private func bins(_ samples: [Float]) -> (real: [Float], imaginary: [Float]) {
    let size = samples.count
    var (real, imaginary): ([Float], [Float]) = ([], [])
    for bin in 0...size / 2 {
      var (a, b) = (0.0, 0.0)
      for (index, sample) in samples.enumerated() {
        let angle = 2 * Double.pi * Double(bin * index % size) / Double(size)
        a += Double(sample) * cos(angle)
        b -= Double(sample) * sin(angle)
      }
      real.append(Float(a))
      imaginary.append(Float(b))
    }
    return (real, imaginary)
  }

  @Test(arguments: [2, 6, 14, 22, 512, 1680, 2048]) func thereAndBack(_ size: Int) {
    var random = RandomNumbers(seed: UInt64(size))
    var samples = random.normal(size)
    let transform = RealTransform(size: size)
    let (real, imaginary) = transform.forward(samples)
    let expected = bins(samples)
    assertClose(real + imaginary, expected.real + expected.imaginary, tolerance: 1e-6)
    var back = [Float](repeating: 0, count: size)
    transform.withPlan { $0.inverse(real: real, imaginary: imaginary, samples: &back) }
    for index in samples.indices { samples[index] *= Float(size) }
    assertClose(back, samples, tolerance: 1e-6)
  }

  @Test func endsOfTheSpectrumAreReal() {
    let transform = RealTransform(size: 8)
    var (with, without) = ([Float](repeating: 0, count: 8), [Float](repeating: 0, count: 8))
    transform.withPlan { plan in
      plan.inverse(real: [1, 2, 3, 4, 5], imaginary: [9, 1, 2, 3, 9], samples: &with)
      plan.inverse(real: [1, 2, 3, 4, 5], imaginary: [0, 1, 2, 3, 0], samples: &without)
    }
    #expect(with == without && with.contains { $0 != 0 })
  }

  @Test func severalThreadsUseOne() async {
    let transform = RealTransform(size: 1680)
    let rows = (0..<32).map { index in
      var random = RandomNumbers(seed: UInt64(index))
      return random.normal(1680)
    }
    let expected = rows.map { transform.forward($0).real }
    await withTaskGroup(of: Bool.self) { group in
      for (row, real) in zip(rows, expected) {
        group.addTask { (0..<20).allSatisfy { _ in transform.forward(row).real == real } }
      }
      for await isSame in group { #expect(isSame) }
    }
  }
}
