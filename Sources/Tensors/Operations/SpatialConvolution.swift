import Base
import CKernels

/// How a convolution moves over its input, down the rows and along them; one over time has one row.
public struct ConvolutionShape: Sendable, Hashable {
  /// Down and along.
  public struct Extent: Sendable, Hashable {
    /// Down the rows.
    public var height: Int
    /// Along them.
    public var width: Int

    /// Down and along.
    public init(_ height: Int, _ width: Int) {
      self.height = height
      self.width = width
    }
  }
  /// Taps.
  public var kernel: Extent
  /// Steps of the input for one of the output.
  public var stride = Extent(1, 1)
  /// Steps of the input from tap to tap.
  public var dilation = Extent(1, 1)
  /// Zeros on each side.
  public var padding = Extent(0, 0)
  /// 1 over time, 2 over images.
  public let dimensions: Int

  /// A convolution over images.
  public init(kernel: Extent, stride: Extent = Extent(1, 1), padding: Extent = Extent(0, 0)) {
    self.kernel = kernel
    self.stride = stride
    self.padding = padding
    dimensions = 2
  }

  /// A convolution over time; without padding where nothing is said.
  public init(kernel: Int, stride: Int = 1, dilation: Int = 1, padding: Int = 0) {
    self.kernel = Extent(1, kernel)
    self.stride = Extent(1, stride)
    self.dilation = Extent(1, dilation)
    self.padding = Extent(0, padding)
    dimensions = 1
  }

  /// A convolution over time that keeps the number of steps: an odd kernel, zeros around.
  public static func same(kernel: Int, dilation: Int = 1) -> ConvolutionShape {
    ConvolutionShape(kernel: kernel, dilation: dilation, padding: kernel / 2 * dilation)
  }

  /// Taps in all.
  public var taps: Int { kernel.height * kernel.width }

  /// The size of the output.
  func output(of input: Extent) -> Extent {
    func count(_ size: Int, _ kernel: Int, _ stride: Int, _ dilation: Int, _ padding: Int) -> Int {
      let left = size + 2 * padding - (kernel - 1) * dilation - 1
      return left < 0 ? 0 : left / stride + 1
    }
    return Extent(
      count(input.height, kernel.height, stride.height, dilation.height, padding.height),
      count(input.width, kernel.width, stride.width, dilation.width, padding.width))
  }
}

/// Images `[batch, height, width, channels]` in memory of another size: some zeros before, between and
/// after their rows and columns.
private struct Spread {
  var before: ConvolutionShape.Extent
  var size: ConvolutionShape.Extent
  var stride = ConvolutionShape.Extent(1, 1)

  func callAsFunction(_ x: Tensor) -> Tensor {
    let (height, width, channels) = (x.shape[1], x.shape[2], x.shape[3])
    guard before != .init(0, 0) || size != .init(height, width) || stride != .init(1, 1) else {
      return x
    }
    let line = size.width * channels
    return Tensor(shape: [x.shape[0], size.height, size.width, channels]) { target in
      let target = SharedPointer(target)
      parallelRows(x.shape[0] * size.height, columns: line) { range in
        for row in range {
          let (image, y) = row.quotientAndRemainder(dividingBy: size.height)
          let to = target + row * line
          to.update(repeating: 0, count: line)
          let (source, rest) = (y - before.height).quotientAndRemainder(dividingBy: stride.height)
          guard y >= before.height, rest == 0, source < height else { continue }
          let from = x.pointer + (image * height + source) * width * channels
          let start = to + before.width * channels
          if stride.width == 1 {
            start.update(from: from, count: width * channels)
          } else {
            for column in 0..<width {
              (start + column * stride.width * channels)
                .update(from: from + column * channels, count: channels)
            }
          }
        }
      }
    }
  }
}

/// The cross-correlation of images `[batch, height, width, channels]` with weights
/// `[outputs, taps * channels]`, taps outermost.
struct SpatialConvolution: Operation {
  let shape: ConvolutionShape

  func value(_ inputs: [Tensor]) -> Tensor {
    let w = inputs[1]
    return value(
      inputs[0],
      PackedMatrix(
        w.pointer, outputStride: w.columns, inputStride: 1, rows: w.rows, columns: w.columns,
        format: Products.format), bias: nil)
  }

  func value(_ x: Tensor, _ w: PackedMatrix, bias: Tensor?) -> Tensor {
    precondition(x.shape[3] * shape.taps == w.columns, "weights do not fit the channels")
    let padded = padded(x)
    let size = shape.output(of: .init(x.shape[1], x.shape[2]))
    return Tensor(shape: [x.shape[0], size.height, size.width, w.rows]) { target in
      Products.product(
        padded.pointer, places(padded, size), rows: x.shape[0] * size.height * size.width, w,
        bias: bias?.pointer, target)
    }
  }

  private func padded(_ x: Tensor) -> Tensor {
    Spread(
      before: shape.padding,
      size: .init(x.shape[1] + 2 * shape.padding.height, x.shape[2] + 2 * shape.padding.width))(x)
  }

  /// The inputs of each output.
  private func places(_ padded: Tensor, _ size: ConvolutionShape.Extent) -> RowPlaces {
    let channels = padded.columns
    let line = padded.shape[2] * channels
    var places = RowPlaces(width: size.width, inner: shape.stride.width * channels)
    places.height = size.height
    places.middle = shape.stride.height * line
    places.outer = padded.shape[1] * line
    if shape.kernel.height == 1, shape.dilation.width == 1 { return places }
    // Taps beside each other are one stretch of memory.
    let isWhole = shape.dilation.width == 1
    places.length = isWhole ? shape.kernel.width * channels : channels
    places.segments = (0..<shape.kernel.height).flatMap { row in
      (0..<(isWhole ? 1 : shape.kernel.width)).map { column in
        row * shape.dilation.height * line + column * shape.dilation.width * channels
      }
    }
    return places
  }

  func readsInputs(_ wanted: [Bool]) -> [Bool] { [wanted[1], wanted[0]] }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    [
      wanted[0] ? inputGradient(inputs[0].shape, inputs[1], gradient) : nil,
      wanted[1] ? weightGradient(inputs[0], inputs[1].rows, gradient) : nil,
    ]
  }

  /// The gradient spread out and convolved with the turned weights.
  private func inputGradient(_ size: [Int], _ w: Tensor, _ gradient: Tensor) -> Tensor {
    func before(_ kernel: Int, _ dilation: Int, _ padding: Int) -> Int {
      precondition(padding <= (kernel - 1) * dilation, "more padding than the kernel reaches")
      return (kernel - 1) * dilation - padding
    }
    let spread = Spread(
      before: .init(
        before(shape.kernel.height, shape.dilation.height, shape.padding.height),
        before(shape.kernel.width, shape.dilation.width, shape.padding.width)),
      size: .init(
        size[1] + (shape.kernel.height - 1) * shape.dilation.height,
        size[2] + (shape.kernel.width - 1) * shape.dilation.width), stride: shape.stride)
    var turned = ConvolutionShape(kernel: shape.kernel)
    turned.dilation = shape.dilation
    return SpatialConvolution(shape: turned)
      .value([spread(gradient), turnedWeights(w, inputs: size[3])])
  }

  /// `[outputs, taps, inputs]` to `[inputs, taps in reverse, outputs]`.
  private func turnedWeights(_ w: Tensor, inputs: Int) -> Tensor {
    let (outputs, taps) = (w.rows, shape.taps)
    let turned = w.reshaped([outputs, taps, inputs]).permuted([1, 2, 0])
      .reshaped([taps, inputs * outputs])
      .gatherRows((0..<taps).reversed().map { Int32($0) })
    return turned.reshaped([taps, inputs, outputs]).permuted([1, 0, 2])
      .reshaped([inputs, taps * outputs])
  }

  /// Sums over all outputs: the rows are the inputs of a tap, what they are summed with the gradient.
  private func weightGradient(_ x: Tensor, _ outputs: Int, _ gradient: Tensor) -> Tensor {
    let padded = padded(x)
    let (images, height, width) = (gradient.shape[0], gradient.shape[1], gradient.shape[2])
    let channels = padded.columns
    let line = padded.shape[2] * channels
    var places = RowPlaces(
      width: channels, inner: 1, inputStride: shape.stride.width * channels)
    places.height = shape.kernel.width
    places.middle = shape.dilation.width * channels
    places.outer = shape.dilation.height * line
    places.length = width
    places.segments = (0..<images * height).map { row in
      let (image, y) = row.quotientAndRemainder(dividingBy: height)
      return (image * padded.shape[1] + y * shape.stride.height) * line
    }
    let packed = PackedMatrix(
      gradient.pointer, outputStride: 1, inputStride: outputs, rows: outputs,
      columns: images * height * width, format: Products.format)
    let sums = Tensor(shape: [shape.taps * channels, outputs]) { target in
      Products.product(
        padded.pointer, places, rows: shape.taps * channels, packed, target)
    }
    return sums.transposed()
  }
}

extension Tensor {
  /// The images that a convolution sees: time has one row.
  private var images: Tensor {
    shape.count == 4 ? self : reshaped([shape[0], 1, shape[1], shape[2]])
  }

  /// A convolution over images `[batch, height, width, channels]`, or over time
  /// `[batch, steps, channels]`: the cross-correlation, in the same number of dimensions.
  ///
  /// - Parameter weights: `[outputs, taps * channels]`, taps outermost.
  public func convolved(_ shape: ConvolutionShape, weights: Tensor) -> Tensor {
    let y = apply(SpatialConvolution(shape: shape), [images, weights])
    return self.shape.count == 4 ? y : y.reshaped([y.shape[0], y.shape[2], y.shape[3]])
  }

  /// The same with packed weights and a bias `[outputs]`. Not recorded.
  public func convolved(_ shape: ConvolutionShape, weights: PackedMatrix, bias: Tensor?) -> Tensor {
    precondition(node == nil && tangentBox == nil, "packed weights are not differentiated")
    let y = SpatialConvolution(shape: shape).value(images, weights, bias: bias)
    return self.shape.count == 4 ? y : y.reshaped([y.shape[0], y.shape[2], y.shape[3]])
  }
}
