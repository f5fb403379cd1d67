import Base
import Foundation
import Safetensors
import TestSupport
import Testing

@testable import Pickles

private func torchFile(_ name: String) throws -> TorchFile {
  try TorchFile(path: fixture("Torch/\(name).pt"))
}

/// What torch.save writes (`Tests/Parity/torch_files.py`).
@Suite(.enabled(if: hasFixture("Torch/plain.pt"))) struct TorchFileTests {
  @Test func plainValuesAreRead() throws {
    let content = try torchFile("plain").content
    let list = PickledValue.list([.integer(1), .list([.number(2.5), .string("x")]), .list([])])
    let expected: [(String, PickledValue)] = [
      ("step", .integer(400_000)), ("ema", .none), ("flag", .bool(true)), ("off", .bool(false)),
      ("rate", .number(1e-4)), ("name", .string("é\n")), ("large", .integer(1 << 40)),
      ("negative", .integer(-3)), ("list", list), ("tuple", .tuple((1...4).map { .integer($0) })),
      ("size", .tuple([.integer(2), .integer(3)])), ("set", .set([.integer(7)])),
      ("ordered", PickledValue(["b": .integer(1), "a": .integer(2)])), ("same", list),
    ]
    for (name, value) in expected { #expect(content[name] == value, "\(name)") }
    #expect(content.members?.count == expected.count + 2)
    #expect(content.members?.first { $0.key == .integer(5) }?.value == .string("five"))
    guard case .tensor(let parameter)? = content["parameter"] else {
      Issue.record("no parameter")
      return
    }
    #expect(try torchFile("plain").array(parameter) == ArrayData([1, 2] as [Float]))
    #expect(content["no such key"] == nil)
  }

  @Test func tensorsOfEveryTypeAndLayoutAreRead() throws {
    let file = try torchFile("tensors")
    let tensors = try #require(file.content.tensors)
    let expected = try SafetensorsFile(path: fixture("Torch/tensors.safetensors"))
    #expect(tensors.keys.sorted() == expected.names)
    for (name, tensor) in tensors {
      #expect(try file.array(tensor) == expected.array(name), "\(name)")
      #expect(try (file.bytes(of: tensor) != nil) == tensor.isContiguous)
    }
    let views = ["transposed", "columns", "permuted", "expanded"]
    #expect(tensors.filter { !$0.value.isContiguous }.keys.sorted() == views.sorted())
    #expect(tensors["row"]?.storage == tensors["base"]?.storage)
  }

  @Test(arguments: [3, 4, 5])
  func laterProtocolsAreRead(_ number: Int) throws {
    let file = try torchFile("protocol_\(number)")
    guard case .tensor(let tensor)? = file.content["a"] else {
      Issue.record("no tensor")
      return
    }
    #expect(try file.array(tensor) == ArrayData((0..<6).map { Float($0) }, shape: [2, 3]))
    let tuple = PickledValue.tuple([.integer(1), .integer(2)])
    #expect(file.content["b"] == .list([.string("x"), tuple]))
    #expect(file.content["c"] == .set([.integer(1), .integer(2)]))
    #expect(file.content["bytes"] == .bytes([0, 255]))
  }

  /// A checkpoint of DeepSpeed with tensors as a pickle may hold them, which the package's fixtures have.
  @Test(.enabled(if: hasFixture("ResembleEnhance/layout/odd.pt")))
  func aCheckpointOfDeepSpeedIsRead() throws {
    let file = try TorchFile(path: fixture("ResembleEnhance/layout/odd.pt"))
    let tensors = try #require(file.content["module"]?.tensors)
    let expected = try SafetensorsFile(path: fixture("ResembleEnhance/layout/odd.safetensors"))
    for name in expected.names {
      let array = try file.array(#require(tensors[name]))
      #expect(array.shape == expected.shape(of: name), "\(name)")
      switch array.type {
      case .i64, .i32, .u8, .bool: continue
      default: #expect(try array.floats() == expected.floats(name), "\(name)")
      }
    }
    #expect(try file.array(#require(tensors["long"])) == ArrayData([-(1 << 40), 7] as [Int64]))
    #expect(file.content["optimizer"]?["param_groups"] != nil)
    #expect(file.content["sparse_tensor_module_names"] == .set([]))
  }

  @Test func filesWithoutSumsAreRead() throws {
    let file = try torchFile("no_sums")
    let tensor = try #require(file.content.tensors?["a"])
    #expect(try file.array(tensor).floats() == [0, 1, 2, 3, 4, 5])
  }

  private func refuses(_ path: String, _ words: String, _ kind: Failure.Kind = .badInput) {
    #expect {
      try TorchFile(path: path)
    } throws: { error in
      let failure = error as? Failure
      return failure?.kind == kind && failure?.description.contains(words) == true
        && failure?.subject == path
    }
  }

  @Test func whatIsNoneIsNamed() throws {
    refuses(fixture("Torch/system.pt"), "refuses posix.system: a pickle may run it")
    refuses(fixture("Torch/module.pt"), "refuses torch.nn.modules.linear.Linear")
    refuses(fixture("Torch/legacy.pt"), "before version 1.6")
    refuses(fixture("Torch/script.pt"), "TorchScript")
    refuses(fixture("Torch/tensors.safetensors"), "no zip archive")
    refuses(fixture("Torch/no such file"), "no such file; check", .noInput)
    let folder = try ScratchFolder()
    refuses(folder.path, "not a regular file", .noInput)
    refuses(try folder.write([], to: "empty.pt"), "no zip archive")
    refuses(try folder.write(Array("hello".utf8), to: "text.pt"), "no zip archive")
    let bytes = try readFile(fixture("Torch/tensors.pt"))
    for count in stride(from: 4, to: bytes.count, by: 97) {
      refuses(try folder.write(Array(bytes[..<count]), to: "cut.pt"), "cut short")
    }
  }

  @Test func damagedElementsAreFound() throws {
    let folder = try ScratchFolder()
    var bytes = try readFile(fixture("Torch/no_sums.pt"))
    // The sixth float: only a sum would tell.
    let place = try #require(bytes.firstRange(of: [0, 0, 0xA0, 0x40])).lowerBound
    bytes[place] = 1
    let silent = try TorchFile(path: folder.write(bytes, to: "x.pt"))
    #expect(try silent.array(#require(silent.content.tensors?["a"])).floats()[5] != 5)

    bytes = try readFile(fixture("Torch/protocol_4.pt"))
    let other = try #require(bytes.firstRange(of: [0, 0, 0xA0, 0x40])).lowerBound
    bytes[other] = 1
    let file = try TorchFile(path: folder.write(bytes, to: "y.pt"))
    guard case .tensor(let tensor)? = file.content["a"] else {
      Issue.record("no tensor")
      return
    }
    #expect { try file.array(tensor) } throws: {
      ($0 as? Failure)?.description.contains("'data/0' is not what was written") == true
    }
  }

  /// Damage anywhere, and in the pickle alone, where sums do not catch it.
  @Test func damageIsRefused() throws {
    let names = ["plain", "tensors", "protocol_4", "no_sums", "script", "system", "legacy"]
    let seeds = try names.map { try readFile(fixture("Torch/\($0).pt")) }
    let folder = try ScratchFolder()
    func read(_ bytes: [UInt8]) throws {
      let file = try TorchFile(path: folder.write(bytes, to: "x.pt"))
      for case .tensor(let tensor) in file.content.members?.map(\.value) ?? [] {
        _ = try file.array(tensor)
      }
    }
    try fuzz("torch", seeds, rounds: 1500, tail: 600, read)
    let pickles = try names.dropLast(3).map { name in
      let bytes = try readFile(fixture("Torch/\(name).pt"))
      let archive = try bytes.withUnsafeBytes { try ZipArchive($0) }
      return Array(bytes[try #require(archive.entries["\(name)/data.pkl"]).content])
    }
    try fuzz("pickle", pickles, rounds: 8000) { bytes in
      let value = try pickledValue(bytes)
      var writer = PickleWriter()
      try writer.write(value)
    }
  }
}

/// The value of a pickle whose storages all have the 96 bytes of 24 floats.
private func pickledValue(_ bytes: [UInt8]) throws -> PickledValue {
  try bytes.withUnsafeBytes {
    try PickleMachine.value(of: $0, largestTensor: 1 << 20) { _ in 96 }
  }
}

@Suite struct PickleMachineTests {
  private func refuses(_ text: String, _ words: String) {
    let bytes = [0x80, 2] + text.unicodeScalars.map { UInt8($0.value) }
    #expect(throws: Failure.self, "\(words)") { try pickledValue(bytes) }
    do { _ = try pickledValue(bytes) } catch {
      #expect("\(error)".contains(words), "\(error)")
    }
  }

  @Test func classesAndFunctionsAreRefusedByName() {
    refuses("cos\nsystem\n.", "refuses os.system")
    refuses("cbuiltins\neval\n.", "refuses builtins.eval")
    refuses("ctorch\nload\n.", "refuses torch.load")
    refuses("ctorch.storage\n_load_from_bytes\n.", "refuses torch.storage._load_from_bytes")
    refuses("X\u{2}\0\0\0osX\u{6}\0\0\0system\u{93}.", "refuses os.system")
    refuses("ctorch\nFloatStorage\n.", "a class as a value")
    // INST and NEWOBJ make objects of classes.
    refuses("(ios\nsystem\n.", "instruction 0x69")
    refuses("ccollections\nOrderedDict\n)\u{81}.", "instruction 0x81")
  }

  @Test func containersThatRepeatEachOtherAreRefused() {
    // A list of two of a list of two of …
    func letter(_ number: Int) -> Character { Character(Unicode.Scalar(UInt8(number))) }
    let doubled = (0..<40).map { "](h\(letter($0))h\(letter($0))eq\(letter($0 + 1))" }
    refuses("]q\0" + doubled.joined() + ".", "repeat each other")
    // A list that holds itself.
    refuses("]q\0h\0a.", "nested deeper")
    refuses(
      String(repeating: "](", count: 100) + String(repeating: "e", count: 100) + ".", "nested")
  }

  @Test func claimsAreChecked() {
    refuses("X\u{ff}\u{ff}\u{ff}\u{ff}abc.", "damaged at byte")
    refuses("\u{8D}\u{ff}\u{ff}\u{ff}\u{ff}\u{ff}\u{ff}\u{ff}\u{7f}abc.", "damaged at byte")
    refuses("\u{8A}\u{9}\0\0\0\0\0\0\0\u{80}\0.", "more than 64 bits")
    refuses("K\u{1}", "damaged")
    refuses("h\u{7}.", "damaged")
    refuses(".", "damaged")
    refuses("0.", "damaged")
    refuses("}(K\u{1}u.", "damaged")
    refuses("}(N", "damaged")
    refuses("}NNs.", "a key of a dictionary")
    let tensor =
      "ctorch._utils\n_rebuild_tensor_v2\n((X\u{7}\0\0\0storagectorch\nFloatStorage\nX\u{1}\0\0\00X\u{3}\0\0\0cpu"
    refuses(tensor + "K\u{18}tQK\u{1}(K\u{18}t(K\u{1}t\u{89}NtR.", "reaches past its storage")
    refuses(
      tensor + "K\u{19}tQK\0(K\u{1}t(K\u{1}t\u{89}NtR.", "96 bytes, which are not 25 elements")
    refuses(
      tensor + "K\u{18}tQK\0(J\u{ff}\u{ff}\u{ff}\u{7f}t(K\0t\u{89}NtR.",
      "larger than the whole file")
    refuses(
      tensor
        + "K\u{18}tQK\0(J\u{ff}\u{ff}\u{ff}\u{7f}J\u{ff}\u{ff}\u{ff}\u{7f}K\u{9}t(K\0K\0K\0t\u{89}NtR.",
      "reaches past its storage")
  }

  @Test func wholeNumbersOfAnyLengthAreRead() throws {
    func long(_ bytes: [UInt8]) throws -> PickledValue {
      try pickledValue([0x80, 2, 0x8A, UInt8(bytes.count)] + bytes + [UInt8(ascii: ".")])
    }
    #expect(try long([]) == .integer(0))
    #expect(try long([0xFF]) == .integer(-1))
    #expect(try long([0, 1]) == .integer(256))
    #expect(try long([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]) == .integer(.max))
    #expect(try long([0, 0, 0, 0, 0, 0, 0, 0x80]) == .integer(.min))
    #expect(try long([1, 0, 0, 0, 0, 0, 0, 0, 0]) == .integer(1))
    #expect(throws: Failure.self) { try long([0, 0, 0, 0, 0, 0, 0, 0x80, 0]) }
  }
}
