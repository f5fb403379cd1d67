import Base
import Foundation
import Safetensors
import TestSupport
import Testing

@testable import Pickles

@Suite struct TorchFileWriterTests {
  private let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  private func rewrite(_ source: TorchFile, to name: String) throws -> TorchFile {
    try writeTorchFile(source.content, to: folder.file(name)) { storage, write in
      let whole = PickledTensor(storage, offset: 0, shape: [storage.count], strides: [1])
      try source.array(#require(whole)).bytes.withUnsafeBytes(write)
    }
    return try TorchFile(path: folder.file(name))
  }

  @Test(
    .enabled(if: hasFixture("Torch/plain.pt")), arguments: ["plain", "tensors", "protocol_4"])
  func whatIsWrittenIsReadAgain(_ name: String) throws {
    let source = try TorchFile(path: fixture("Torch/\(name).pt"))
    let copy = try rewrite(source, to: "copy.pt")
    for (member, own) in zip(source.content.members ?? [], copy.content.members ?? []) {
      #expect(member.key == own.key)
      guard case .tensor(let tensor) = member.value, case .tensor(let ownTensor) = own.value else {
        #expect(member.value == own.value)
        continue
      }
      #expect(try source.array(tensor) == copy.array(ownTensor))
      #expect(tensor.strides == ownTensor.strides && tensor.offset == ownTensor.offset)
    }
    // The same bytes under any name.
    _ = try rewrite(copy, to: "again.pt")
    #expect(try folder.read("copy.pt") == folder.read("again.pt"))
    // Storages begin at multiples of 64 bytes, as memory that is mapped needs them.
    let bytes = try folder.read("copy.pt")
    let archive = try bytes.withUnsafeBytes { try ZipArchive($0) }
    for entry in archive.entries.values { #expect(entry.content.lowerBound.isMultiple(of: 64)) }
  }

  @Test func typesThatPyTorchLacksAreRefused() throws {
    let tensor = try #require(PickledTensor(key: "a", type: .u32, shape: [1]))
    #expect {
      try writeTorchFile(PickledValue(["a": tensor]), to: folder.file("x.pt")) { _, _ in }
    } throws: { ($0 as? Failure)?.kind == .badInput }
    #expect(!folder.has("x.pt"))
  }

  /// The fields for large sizes and places, which files past 4 GiB have.
  @Test(arguments: [0, 1, 40, 100, 200])
  func largeFieldsAreWrittenAndRead(_ large: UInt64) throws {
    let path = folder.file("x.zip")
    let file = try AtomicFile(path: path)
    var writer = ZipWriter(file, large: large)
    try writer.add("x/a", Array("hello".utf8))
    try writer.add("x/b", [UInt8](repeating: 7, count: 150))
    try writer.add("x/c", [])
    try writer.finish()
    try file.commit()
    let bytes = try folder.read("x.zip")
    let entries = try bytes.withUnsafeBytes { try ZipArchive($0) }.entries
    #expect(entries.keys.sorted() == ["x/a", "x/b", "x/c"])
    #expect(try bytes[#require(entries["x/a"]).content].elementsEqual("hello".utf8))
    #expect(try bytes[#require(entries["x/b"]).content] == [UInt8](repeating: 7, count: 150)[...])
    #expect(entries["x/a"]?.checksum == 0x3610_A686)
    try fuzz("zip\(large)", [bytes], rounds: 1000, tail: 250) { damaged in
      _ = try damaged.withUnsafeBytes { try ZipArchive($0) }
    }
  }

  /// Python's own reader of archives, where there is a Python.
  @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/python3")))
  func pythonReadsTheArchive() throws {
    let tensor = try #require(PickledTensor(key: "a", type: .f32, shape: [2]))
    let path = folder.file("x.pt")
    try writeTorchFile(PickledValue(["a": tensor]), to: path) { _, write in
      try ArrayData([1, 2] as [Float]).bytes.withUnsafeBytes(write)
    }
    let script = """
      import sys, zipfile, pickletools
      archive = zipfile.ZipFile(sys.argv[1])
      assert archive.testzip() is None
      pickletools.dis(archive.read("archive/data.pkl"), open("/dev/null", "w"))
      print(len(archive.namelist()))
      """
    let result = try runShell(
      "/usr/bin/python3 -c \"$SCRIPT\" '\(path)'", environment: ["SCRIPT": script])
    #expect(result.code == 0 && result.text == "4\n", "\(result.errors)")
  }

  /// PyTorch itself, where `TTS_REFERENCE_PYTHON` names a Python that has it.
  @Test(.enabled(if: ProcessInfo.processInfo.environment["TTS_REFERENCE_PYTHON"] != nil))
  func pyTorchReadsIt() throws {
    _ = try rewrite(TorchFile(path: fixture("Torch/tensors.pt")), to: "x.pt")
    _ = try rewrite(TorchFile(path: fixture("Torch/plain.pt")), to: "y.pt")
    let bytes = PickledValue(["a": .bytes([0, 0x7F, 0xFF]), "b": .bytes([])])
    try writeTorchFile(bytes, to: folder.file("z.pt")) { _, _ in }
    #expect(try TorchFile(path: folder.file("z.pt")).content == bytes)
    let script = """
      import sys, torch
      from safetensors.torch import load_file
      expected = load_file(sys.argv[1] + "/tensors.safetensors")
      for mapped in (False, True):
          found = torch.load("x.pt", weights_only=True, mmap=mapped)
          assert found.keys() == expected.keys()
          for name, tensor in found.items():
              assert tensor.dtype == expected[name].dtype and torch.equal(tensor, expected[name]), name
      original = torch.load(sys.argv[1] + "/plain.pt", weights_only=True)
      copy = torch.load("y.pt", weights_only=True)
      assert original.keys() == copy.keys()
      assert torch.load("z.pt", weights_only=True) == {"a": bytes([0, 127, 255]), "b": b""}
      assert all(torch.equal(original[k], copy[k]) if k == "parameter" else original[k] == copy[k] for k in copy)
      """
    let result = try runShell(
      "\"$TTS_REFERENCE_PYTHON\" -c \"$SCRIPT\" '\(fixture("Torch"))'",
      environment: ["SCRIPT": script], directory: folder.path)
    #expect(result.code == 0, "\(result.errors)")
  }
}
