import { useMonaco } from '@graphiql/react';
import { useEffect } from 'react';

/** GraphiQL's own names of its editors' themes: what is defined under them anew takes their place. */
const NAMES = { light: 'graphiql-LIGHT', dark: 'graphiql-DARK' };

const LIGHT = { accent: '#1d5fc4', soft: '#1d5fc41a', ground: '#ffffff', lines: '#5d6675', comment: '#3d6b3d', number: '#086246', string: '#a31515', key: '#0451a5' };
const DARK = { accent: '#8ab6ff', soft: '#8ab6ff1f', ground: '#212a3b', lines: '#a3abb9', comment: '#93c47d', number: '#b5cea8', string: '#e8a98c', key: '#9cdcfe' };

/** The editors in the dashboard's colours, each with contrast enough to be read. */
export function EditorColours() {
  const monaco = useMonaco((state) => state.monaco);
  useEffect(() => {
    if (!monaco) return;
    monaco.editor.defineTheme(NAMES.light, theme('vs', LIGHT));
    monaco.editor.defineTheme(NAMES.dark, theme('vs-dark', DARK));
  }, [monaco]);
  return null;
}

function theme(base: 'vs' | 'vs-dark', colours: typeof LIGHT) {
  const { accent, soft, ground, lines } = colours;
  return {
    base,
    inherit: true,
    rules: [
      { token: 'comment', foreground: colours.comment },
      { token: 'number', foreground: colours.number },
      { token: 'string', foreground: colours.string },
      { token: 'string.key.json', foreground: colours.key },
      { token: 'argument.identifier.gql', foreground: accent },
    ],
    colors: {
      'editor.background': '#ffffff00',
      'scrollbar.shadow': '#ffffff00',
      'editorLineNumber.foreground': lines,
      'editorLineNumber.dimmedForeground': lines,
      'editorHoverWidget.background': ground,
      'editorSuggestWidget.background': ground,
      'editorSuggestWidget.selectedBackground': soft,
      'editorSuggestWidget.selectedForeground': accent,
      'editorWidget.background': ground,
      'menu.background': ground,
      'menu.selectionBackground': soft,
      'menu.selectionForeground': accent,
      'quickInput.background': ground,
      'list.hoverBackground': soft,
      'list.highlightForeground': accent,
      'textLink.foreground': accent,
      focusBorder: accent,
    },
  };
}
