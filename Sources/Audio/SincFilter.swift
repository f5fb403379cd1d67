/// libsamplerate's best sinc between two fixed rates, as its coefficients.
enum SincFilter {
  /// Zero crossings of the library's filter on each side, at the lower rate.
  private static let crossings = 143

  static let filters = PolyphaseFilters { up, down in
    guard up != down else {
      return PolyphaseFilter(up: 1, down: 1, half: 0, width: 16, phases: [])
    }
    // Input samples on each side of an output sample.
    let reach = (crossings * max(up, down) + up - 1) / up + 2
    let width = PolyphaseFilter.rounded(width: 2 * reach)
    var phases = [Float](repeating: 0, count: up * width)
    // The response to an impulse at input n holds, at output j, the coefficient of phase
    // (j · down) mod up for the input n. Impulses at every n mod down give them all.
    let distance = 2 * reach + 2
    let spacing = distance + (down + 1 - distance % down) % down
    var input = [Float](repeating: 0, count: (down + 1) * spacing)
    for index in 0..<down { input[reach + index * spacing] = 1 }
    let library = try LibraryResampler(up: up, down: down)
    let output = try library.process(input) + library.finish()
    for (j, coefficient) in output.enumerated() {
      let (whole, phase) = (j * down).quotientAndRemainder(dividingBy: up)
      // The only impulse that may be under the filter.
      let first = max(0, whole - reach + 1 - reach + spacing - 1) / spacing
      let impulse = reach + first * spacing
      guard first < down, impulse > whole - reach, impulse <= whole + reach else { continue }
      phases[phase * width + width - 1 - (whole + reach - impulse)] = coefficient
    }
    return PolyphaseFilter(up: up, down: down, half: reach * up, width: width, phases: phases)
  }
}
