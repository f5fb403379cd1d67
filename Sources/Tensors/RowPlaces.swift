import CKernels

/// Where the rows of a product's first factor are in memory: rows of a convolution overlap and have gaps,
/// and need not be copied.
struct RowPlaces: Sendable {
  /// Rows are an array `[outermost, height, width]`, and so far apart.
  var width: Int
  var height = 1
  var inner: Int
  var middle = 0
  var outer = 0
  /// Where the inputs of a row go on after every `length`; empty: nowhere.
  var segments: [Int] = []
  var length = 1
  /// From one input to the next.
  var inputStride = 1

  init(width: Int, inner: Int, inputStride: Int = 1) {
    self.width = width
    self.inner = inner
    self.inputStride = inputStride
  }

  /// Lends what the kernel reads, for several threads.
  func withShared(_ body: (Shared) -> Void) {
    segments.withUnsafeBufferPointer { segments in
      let places = ck_rows(
        width: width, height: height, inner: inner, middle: middle, outer: outer,
        segments: segments.isEmpty ? nil : segments.baseAddress, length: length,
        k_stride: inputStride)
      withUnsafePointer(to: places) { body(Shared(base: $0)) }
    }
  }

  /// Only read.
  struct Shared: @unchecked Sendable {
    let base: UnsafePointer<ck_rows>
  }
}
