/// The page at `/`: a field for a sentence, the voices, and a button. It holds all it needs.
func page(voices: [String], sampleRate: Int) -> String {
  let options = voices.map { name in
    let text = escaped(name)
    return "<option value=\"\(text)\">\(text)</option>"
  }.joined()
  return """
    <!DOCTYPE html>
    <html lang="en">
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width">
    <title>tts-synth</title>
    <style>
      body { font: 1rem/1.5 sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }
      textarea, select, button { font: inherit; box-sizing: border-box; margin: 0.3rem 0 }
      textarea { width: 100%; height: 8rem }
    </style>
    <h1>Say something</h1>
    <form>
      <label for="text">Text</label>
      <textarea id="text" required>Hello there. [pause 0.5s] How are you?</textarea>
      <label for="voice">Voice</label>
      <select id="voice"><option value="default">default</option>\(options)</select>
      <button id="say">Say it</button> <button id="stop" type="button" disabled>Stop</button>
      <p id="state" role="status"></p>
    </form>
    <script>
      const by = id => document.getElementById(id);
      const rate = \(sampleRate);
      let stop = null;
      by('stop').onclick = () => stop && stop();
      document.forms[0].onsubmit = async event => {
        event.preventDefault();
        const context = new AudioContext({ sampleRate: rate });
        const request = new AbortController();
        stop = () => { request.abort(); context.close(); };
        by('say').disabled = true;
        by('stop').disabled = false;
        by('state').textContent = 'waiting';
        try {
          const answer = await fetch('/v1/audio/speech', {
            method: 'POST', signal: request.signal,
            headers: { 'Content-Type': 'application/json' },
            body: JSON.stringify({
              input: by('text').value, voice: by('voice').value, response_format: 'pcm' })
          });
          if (!answer.ok) throw new Error((await answer.json()).error.message);
          const reader = answer.body.getReader();
          let rest = new Uint8Array(0), at = context.currentTime + 0.1, seconds = 0;
          for (;;) {
            const { done, value } = await reader.read();
            if (done) break;
            const bytes = new Uint8Array(rest.length + value.length);
            bytes.set(rest);
            bytes.set(value, rest.length);
            const count = bytes.length >> 1, view = new DataView(bytes.buffer);
            rest = bytes.slice(2 * count);
            if (!count) continue;
            const piece = context.createBuffer(1, count, rate), data = piece.getChannelData(0);
            for (let i = 0; i < count; i++) data[i] = view.getInt16(2 * i, true) / 32768;
            const source = context.createBufferSource();
            source.buffer = piece;
            source.connect(context.destination);
            at = Math.max(at, context.currentTime);
            source.start(at);
            at += count / rate;
            seconds += count / rate;
            by('state').textContent = seconds.toFixed(1) + ' s';
          }
          await new Promise((end, abort) => {
            setTimeout(end, 1000 * (at - context.currentTime) + 200);
            request.signal.onabort = () => abort(request.signal.reason);
          });
        } catch (error) {
          by('state').textContent = error.name === 'AbortError' ? 'stopped' : error.message;
        } finally {
          if (context.state !== 'closed') context.close();
          by('say').disabled = false;
          by('stop').disabled = true;
          stop = null;
        }
      };
    </script>
    </html>
    """
}

/// Text for HTML.
private func escaped(_ text: String) -> String {
  text.reduce(into: "") { result, character in
    switch character {
    case "&": result += "&amp;"
    case "<": result += "&lt;"
    case ">": result += "&gt;"
    case "\"": result += "&quot;"
    default: result.append(character)
    }
  }
}
