import Base
import Safetensors
import TestSupport
import Testing

/// What `Tests/Parity/resemble_enhance.py` recorded of the training data.
struct DataFixture {
  private let file: SafetensorsFile
  let cases: JSON

  init() throws {
    file = try SafetensorsFile(path: fixture("ResembleEnhance/data/cases.safetensors"))
    cases = try JSON.parse(readFile(fixture("ResembleEnhance/data/cases.json")))
  }

  func floats(_ name: String) throws -> [Float] { try file.array(name).floats() }

  func array(_ key: String) throws -> [JSON] { try #require(cases[key]?.array) }
}

/// The largest difference; infinite where there are not as many of both.
func largestDifference(_ one: [Float], _ other: [Float]) -> Float {
  guard one.count == other.count else { return .infinity }
  return zip(one, other).reduce(0) { max($0, abs($1.0 - $1.1)) }
}
