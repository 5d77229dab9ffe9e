// What the pages of the shop need beyond the shell. The order matters: components that others are made of come first.
import '@mantine/core/styles/ScrollArea.css';
import '@mantine/core/styles/Card.css';
import '@mantine/core/styles/Grid.css';
import '@mantine/core/styles/List.css';
import '@mantine/core/styles/NumberInput.css';
import '@mantine/core/styles/Progress.css';
import '@mantine/core/styles/Stepper.css';
import '@mantine/core/styles/Timeline.css';
