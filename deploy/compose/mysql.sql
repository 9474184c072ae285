-- Each JobDB is a schema of its own, which the Manager makes and drops.
GRANT ALL ON `centrifuge\_%`.* TO 'centrifuge'@'%';
