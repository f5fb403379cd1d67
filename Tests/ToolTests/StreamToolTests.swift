import Base
import Foundation
import Records
import Safetensors
import TestSupport
import Testing

@Suite struct StreamToolTests {
  private func stream(_ arguments: String..., input: [UInt8]? = nil) throws -> ProcessResult {
    try runTool("tts-stream", arguments, input: input)
  }

  private func records(_ count: Int, prefix: String = "u") -> [Record] {
    (0..<count).map { makeRecord(id: "\(prefix)/\($0)", seconds: 0.1, speaker: "anna") }
  }

  private static let header = StreamHeader().appending(
    Stage(tool: "tts-import", version: 1, parameters: ["format": "auto"]))

  @Test func viewPrintsALineARecord() throws {
    let folder = try ScratchFolder()
    var rich = makeTextRecord(id: "b", text: "Zwei \"Worte\"\n😀")
    rich.arrays["x"] = ArrayData([1, 2, 3, 4] as [Float], shape: [2, 2])
    try writeStream(records(2) + [rich], to: folder.file("a.ttsr"))
    let result = try stream("view", "--values", folder.file("a.ttsr"))
    let lines = try result.text.split(separator: "\n").map { try JSON.parse(text: String($0)) }
    #expect(result.code == 0 && lines.count == 3)
    #expect(lines[0]["speaker"]?.string == "anna")
    #expect(lines[0]["arrays"]?["audio"]?["shape"]?.array == [1, 2400])
    #expect(lines[2]["text"]?.string == "Zwei \"Worte\"\n😀")
    #expect(lines[2]["arrays"]?["x"]?["values"]?.array == [1.0, 2.0, 3.0, 4.0])
  }

  @Test func viewExtractsAudio() throws {
    let folder = try ScratchFolder()
    let parts = makeParts(id: "../long", parts: 3, secondsEach: 0.1)
    try writeStream([makeRecord(id: "d/a", seconds: 0.1)] + parts, to: folder.file("a.ttsr"))
    let result = try stream("view", "--audio", folder.file("out"), folder.file("a.ttsr"))
    #expect(result.code == 0, "\(result.errors)")
    // 58 bytes of header and 32-bit samples.
    #expect(try folder.read("out/d/a.wav").count == 58 + 2400 * 4)
    #expect(try folder.read("out/%2E%2E/long.wav").count == 58 + 3 * 2400 * 4)
  }

  @Test func headPassesOnAWholeStream() throws {
    let folder = try ScratchFolder()
    let all = records(30)
    try writeStream(all, to: folder.file("a.ttsr"), header: Self.header)
    let result = try stream("head", "-n", "7", folder.file("a.ttsr"))
    #expect(try readStream(result.output) == Array(all[..<7]))
    let none = try stream("head", "-n", "0", folder.file("a.ttsr"))
    #expect(try readStream(none.output).isEmpty)
    let id = try stream("header", "--id", input: none.output)
    #expect(id.text == Self.header.leaves[0] + "\n")
    #expect(
      try stream("head", "-n", "1000", folder.file("a.ttsr"), folder.file("a.ttsr")).code == 0)
  }

  @Test func headEndsQuietly() throws {
    let folder = try ScratchFolder()
    try writeStream((0..<3000).map { makeTextRecord(id: "\($0)") }, to: folder.file("a.ttsr"))
    let result = try runShell(
      "tts-stream cat a.ttsr | tts-stream head -n 2 | tts-stream count; tts-stream view a.ttsr | head -c 100",
      directory: folder.path)
    #expect(result.text.hasPrefix("2\n") && result.errors.isEmpty && result.code == 0)
    let lazy = try runShell(
      "tts-stream view a.ttsr; echo $? >&2", input: nil, directory: folder.path)
    #expect(lazy.errors == "0\n")
  }

  @Test func catJoinsAndDigestsAddUp() throws {
    let folder = try ScratchFolder()
    let (a, b) = (records(5, prefix: "a"), records(9, prefix: "b"))
    try writeStream(a, to: folder.file("a.ttsr"), header: Self.header)
    try writeStream(b, to: folder.file("b.ttsr"))
    try writeStream((a + b).reversed(), to: folder.file("all.ttsr"))
    let result = try runShell(
      """
      set -e
      tts-stream cat a.ttsr b.ttsr > c.ttsr; cat a.ttsr b.ttsr | cmp - c.ttsr
      tts-stream cat -o d.ttsr - < c.ttsr; cmp c.ttsr d.ttsr
      test "$(tts-stream digest a.ttsr b.ttsr)" = "$(tts-stream digest all.ttsr)"
      test "$(tts-stream digest < c.ttsr)" = "$(tts-stream digest all.ttsr)"
      test "$(tts-stream digest --ids c.ttsr)" = "$(tts-stream digest --ids all.ttsr)"
      test "$(tts-stream digest --ordered a.ttsr b.ttsr)" = "$(tts-stream digest --ordered c.ttsr)"
      test "$(tts-stream digest --ordered c.ttsr)" != "$(tts-stream digest --ordered all.ttsr)"
      test "$(tts-stream count a.ttsr c.ttsr)" = 19
      test "$(cat c.ttsr | tts-stream count --each)" = '14  -'
      tts-stream header --all c.ttsr | wc -l
      """, directory: folder.path)
    #expect(result.code == 0 && result.text == "2\n", "\(result.errors)")
    #expect(try readStream(folder.file("c.ttsr")) == a + b)
  }

  @Test func statSumsUp() throws {
    let folder = try ScratchFolder()
    var bad = makeTextRecord(id: "bad")
    bad.reject("nothing said")
    try writeStream(records(10) + [bad], to: folder.file("a.ttsr"))
    let result = try stream("stat", "--json", folder.file("a.ttsr"))
    let json = try JSON.parse(text: result.text)
    #expect(json["records"] == 11 && json["rejected"] == 1 && json["audio_seconds"] == 1.0)
    #expect(json["samples"] == ["24000": 24000])
    #expect(try stream("stat", folder.file("a.ttsr")).text.contains("0:00:01.000 at 24000 Hz"))
  }

  @Test func checkTellsGoodFromBad() throws {
    let folder = try ScratchFolder()
    try writeStream(records(5), to: folder.file("good.ttsr"))
    let bytes = try folder.read("good.ttsr")
    try folder.write(Array(bytes.dropLast(70)), to: "cut.ttsr")
    var flipped = bytes
    flipped[bytes.count / 2] ^= 1
    try folder.write(flipped, to: "flipped.ttsr")
    try writeAbortedStream(records(2), to: folder.file("aborted.ttsr"), code: 78)
    try writeStream(makeParts(id: "p", parts: 3).dropFirst(), to: folder.file("parts.ttsr"))
    #expect(try stream("check", folder.file("good.ttsr")).code == 0)
    #expect(try stream("check", "--quick", folder.file("good.ttsr")).code == 0)
    #expect(try stream("check", folder.file("cut.ttsr")).code == 65)
    #expect(try stream("check", "--quick", folder.file("cut.ttsr")).code == 65)
    #expect(try stream("check", folder.file("flipped.ttsr")).code == 65)
    #expect(try stream("check", folder.file("parts.ttsr")).code == 65)
    #expect(try stream("check", folder.file("aborted.ttsr")).code == 78)
    #expect(try stream("check", "--quick", folder.file("aborted.ttsr")).code == 78)
    #expect(try stream("check", input: Array(bytes.dropLast(70))).code == 74)
    let many = try stream(
      "check", folder.file("good.ttsr"), folder.file("cut.ttsr"), folder.file("good.ttsr"))
    #expect(many.code == 65 && many.text.split(separator: "\n").count == 3)
    #expect(many.errors.split(separator: "\n").count == 1)
  }

  @Test func diffSaysWhatDiffers() throws {
    let folder = try ScratchFolder()
    let all = records(4)
    var changed = all
    changed[1].text = "Other."
    changed[2].arrays["audio"] = ArrayData([1] as [Float], shape: [1, 1])
    changed.remove(at: 0)
    changed.append(makeTextRecord(id: "new"))
    try writeStream(all, to: folder.file("a.ttsr"))
    try writeStream(all, to: folder.file("b.ttsr"), header: Self.header)
    try writeStream(changed, to: folder.file("c.ttsr"))
    try writeStream(all.reversed(), to: folder.file("d.ttsr"))
    let (a, b, c, d) = (
      folder.file("a.ttsr"), folder.file("b.ttsr"), folder.file("c.ttsr"), folder.file("d.ttsr")
    )
    #expect(try stream("diff", a, b).code == 0)
    #expect(try stream("diff", "--header", a, b).code == 1)
    #expect(try stream("diff", a, d).code == 1)
    #expect(try stream("diff", "--any-order", a, d).code == 0)
    let result = try stream("diff", a, c)
    #expect(result.code == 1)
    #expect(
      Set(result.text.split(separator: "\n")).isSuperset(of: ["< u/0", "> new", "! u/1", "! u/2"]))
    changed = all
    changed[1].text = "Other."
    try writeStream(changed, to: folder.file("e.ttsr"))
    #expect(try stream("diff", a, folder.file("e.ttsr")).text == "! u/1 text\n")
  }

  @Test func saveIsWholeOrNotThere() throws {
    let folder = try ScratchFolder()
    try writeStream(records(3), to: folder.file("a.ttsr"))
    try writeAbortedStream(
      records(2), to: folder.file("bad.ttsr"), stage: "tts-vad", code: 78, message: "no such model")
    let good = try runShell(
      "cat a.ttsr | tts-stream save -o b.ttsr; cmp a.ttsr b.ttsr", directory: folder.path)
    #expect(good.code == 0 && good.errors.isEmpty)
    let aborted = try runShell(
      "tts-stream cat bad.ttsr 2>/dev/null | tts-stream save -o c.ttsr", directory: folder.path)
    #expect(aborted.code == 78 && aborted.errors.contains("tts-vad: no such model"))
    let killed = try runShell(
      "(tts-stream head -n 0 a.ttsr | head -c 60) | tts-stream save -o d.ttsr",
      directory: folder.path)
    #expect(killed.code == 74)
    let full = try runShell("tts-stream cat a.ttsr > /dev/full", directory: folder.path)
    #expect(full.code == 74)
    #expect(try folder.names() == ["a.ttsr", "b.ttsr", "bad.ttsr"])
  }

  @Test func aSignalEndsItCleanly() throws {
    let folder = try ScratchFolder()
    try writeStream(records(3), to: folder.file("a.ttsr"))
    // A reader that waits for an upstream which says no more, in the middle of a stream.
    let result = try runShell(
      """
      (tts-stream head -n 0 a.ttsr | head -c 47; exec sleep 20) | tts-stream cat > b.ttsr &
      pid=$!; sleep 1; kill -TERM $pid; wait $pid; echo $?
      """, directory: folder.path)
    #expect(result.text == "75\n", "\(result.errors)")
    #expect { try readStream(folder.file("b.ttsr")) } throws: {
      ($0 as? Failure)?.kind == .interrupted
    }
  }

  @Test func memoryIsFlatAndThreadsChangeNothing() throws {
    let folder = try ScratchFolder()
    let one = makeRecord(id: "x", seconds: 0.5)
    let many = (0..<2000).lazy.map { index in
      var record = one
      record.id = "u/\(index)"
      return record
    }
    try writeStream(many, to: folder.file("a.ttsr"))
    // Enough to fill what is read ahead, which takes its time on a machine that is busy.
    try writeStream(many.prefix(1000), to: folder.file("b.ttsr"))
    func peak(_ arguments: String...) throws -> Int {
      let (result, peak) = try runMeasured("tts-stream", arguments + ["-T", "2"])
      #expect(result.code == 0)
      return peak
    }
    for command in ["check", "view", "stat", "diff"] {
      let (small, big) = (folder.file("b.ttsr"), folder.file("a.ttsr"))
      let few = try peak(command, small, small)
      let all = try peak(command, big, big)
      #expect(all < few + 24 << 20, "\(command): \(few) and \(all) bytes")
    }
    let same = try runShell(
      """
      tts-stream head -n 2000 -T 1 a.ttsr > c.ttsr; tts-stream head -n 2000 -T 3 a.ttsr | cmp - c.ttsr
      """, directory: folder.path)
    #expect(same.code == 0, "\(same.text)")
  }

  @Test func doneKnowsItsWork() throws {
    let folder = try ScratchFolder()
    let input = records(3)
    try writeStream(input, to: folder.file("in.ttsr"), header: Self.header)
    let stage = Stage(tool: "tts-vad", version: 1)
    let header = Self.header.appending(stage)
    let digest = try RecordFile(path: folder.file("in.ttsr")).tally.digest
    let writer = try RecordWriter(file: AtomicFile(path: folder.file("out.ttsr")), header: header)
    try writer.write(input[0])
    try writer.finish(from: digest)
    let (source, made) = (folder.file("in.ttsr"), folder.file("out.ttsr"))
    #expect(try stream("done", "--id", stage.id, made).code == 0)
    #expect(try stream("done", "--id", header.leaves[0], "--from", source, made).code == 0)
    #expect(try stream("done", "--id", stage.id, "--from", made, made).code == 1)
    #expect(try stream("done", "--id", Self.header.leaves[0], made).code == 1)
    #expect(try stream("done", "--id", stage.id, folder.file("none.ttsr")).code == 1)
    try folder.write(Array(try folder.read("out.ttsr").dropLast(3)), to: "out.ttsr")
    #expect(try stream("done", "--id", stage.id, made).code == 1)
  }

  @Test func recoverSavesTheGoodBlocks() throws {
    let folder = try ScratchFolder()
    let all = (0..<12).map { makeRecord(id: "u/\($0)", seconds: 20) }
    try writeStream(all, to: folder.file("a.ttsr"), header: Self.header)
    var bytes = try folder.read("a.ttsr")
    bytes[bytes.count / 2] ^= 0x10
    try folder.write(bytes, to: "b.ttsr")
    #expect(try stream("check", folder.file("b.ttsr")).code == 65)
    let result = try stream("recover", folder.file("b.ttsr"), "-o", folder.file("c.ttsr"))
    #expect(
      result.code == 0 && result.text.contains("lost records "), "\(result.text)\(result.errors)")
    let rest = try readStream(folder.file("c.ttsr"))
    #expect(!rest.isEmpty && rest.count < 12 && Set(rest.map(\.id)).isSubset(of: all.map(\.id)))
    #expect(try stream("check", folder.file("c.ttsr")).code == 0)
    let whole = try stream("recover", folder.file("a.ttsr"), "-o", folder.file("d.ttsr"))
    #expect(whole.text == "12 records saved; nothing was damaged\n")
  }

  @Test func exportWritesWhatOthersRead() throws {
    let folder = try ScratchFolder()
    var flac = makeTextRecord(id: "x.y")
    flac.arrays["latents"] = ArrayData([1, 2, 3, 4] as [Float], shape: [2, 2])
    var bad = makeTextRecord(id: "bad")
    bad.reject("noise")
    let long = makeRecord(id: String(repeating: "long/", count: 40) + "id", seconds: 0.1)
    try writeStream(records(2) + [flac, bad, long], to: folder.file("a.ttsr"))
    let files = try stream(
      "export", "--format", "files", "-o", folder.file("out"), folder.file("a.ttsr"))
    #expect(files.code == 0, "\(files.errors)")
    let lines = try String(decoding: folder.read("out/metadata.jsonl"), as: UTF8.self)
      .split(separator: "\n").map { try JSON.parse(text: String($0)) }
    #expect(lines.count == 4 && lines[0]["audio"]?.string == "audio/u/0.wav")
    #expect(folder.has("out/audio/u/0.wav"))
    let tar = try stream(
      "export", "--format", "webdataset", "-o", folder.file("a.tar"), folder.file("a.ttsr"))
    #expect(tar.code == 0)
    let list = try runShell(
      "tar tf a.tar; tar xf a.tar; wc -c < x%2Ey.latents.npy", directory: folder.path)
    #expect(list.code == 0, "\(list.errors)")
    #expect(
      list.text.hasPrefix("u/0.json\nu/0.wav\nu/1.json\nu/1.wav\nx%2Ey.json\nx%2Ey.latents.npy\n"))
    #expect(list.text.hasSuffix("144\n"))
  }
}
